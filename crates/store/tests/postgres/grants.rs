//! Who may do what: every login against every table, function and forbidden statement.

use std::collections::BTreeMap;

use bulkhead_store::Role;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::fixture::{Fixture, refusal, run, scalar};

/// select, insert, update, delete, of any column. What is not here is refused.
const TABLES: [(&str, &[(&str, &str)]); 17] = [
    ("bulkhead._sqlx_migrations", &[]),
    (
        "bulkhead.access_tokens",
        &[("operator", "s"), ("sync", "s"), ("token", "siu")],
    ),
    (
        "bulkhead.application_secrets",
        &[("operator", "si"), ("token", "s")],
    ),
    (
        "bulkhead.applications",
        &[("containment", "s"), ("operator", "siu"), ("token", "s")],
    ),
    (
        "bulkhead.audit_events",
        &[
            ("containment", "i"),
            ("operator", "si"),
            ("purge", "i"),
            ("scheduler", "i"),
            ("sync", "i"),
            ("token", "i"),
        ],
    ),
    (
        "bulkhead.checkpoints",
        &[("operator", "s"), ("sync", "siu")],
    ),
    (
        "bulkhead.connections",
        &[
            ("containment", "su"),
            ("operator", "siu"),
            ("scheduler", "s"),
            ("sync", "s"),
            ("token", "s"),
        ],
    ),
    ("bulkhead.context_secret", &[]),
    (
        "bulkhead.fences",
        &[
            ("containment", "siu"),
            ("operator", "s"),
            ("scheduler", "s"),
        ],
    ),
    ("bulkhead.live_token_refreshes", &[]),
    (
        "bulkhead.obligations",
        &[
            ("containment", "su"),
            ("operator", "siu"),
            ("scheduler", "siu"),
        ],
    ),
    ("bulkhead.order_items", &[("purge", "sd"), ("sync", "siu")]),
    ("bulkhead.order_pii", &[("purge", "sd"), ("sync", "siu")]),
    ("bulkhead.orders", &[("purge", "sd"), ("sync", "siu")]),
    (
        "bulkhead.plan_pins",
        &[("operator", "siud"), ("scheduler", "s")],
    ),
    (
        "bulkhead.refresh_tokens",
        &[("operator", "siu"), ("token", "s")],
    ),
    (
        "bulkhead.schedules",
        &[("operator", "siu"), ("scheduler", "su")],
    ),
];

const MORE_TABLES: [(&str, &[(&str, &str)]); 5] = [
    (
        "bulkhead.queue_caps",
        &[("operator", "siud"), ("scheduler", "s")],
    ),
    (
        "bulkhead.queue_holds",
        &[("operator", "sid"), ("scheduler", "s")],
    ),
    (
        "bulkhead.queue_weights",
        &[("operator", "siud"), ("scheduler", "s")],
    ),
    (
        "bulkhead.tenants",
        &[
            ("containment", "s"),
            ("operator", "siu"),
            ("scheduler", "s"),
        ],
    ),
    ("keystore.pii_keys", &[("purge", "sd"), ("sync", "i")]),
];

/// Functions and who may call them; what is not here nobody may.
const FUNCTIONS: [(&str, &[&str]); 13] = [
    ("complete_token_refresh", &["token"]),
    (
        "current_application",
        &["containment", "purge", "sync", "token"],
    ),
    (
        "current_connection",
        &["containment", "purge", "sync", "token"],
    ),
    ("current_tenant", &["containment", "purge", "sync", "token"]),
    ("enter_job", &["containment", "purge", "sync", "token"]),
    ("fence_epoch", &["containment", "purge", "sync", "token"]),
    ("fence_lock", &["containment"]),
    ("finish_job", &["containment", "purge", "sync", "token"]),
    ("maintain_partitions", &["operator", "scheduler"]),
    ("mark_connection_for_reauthorization", &["token"]),
    ("owe_token_refresh_now", &["operator"]),
    ("request_token_refresh", &["sync"]),
    (
        "schema_version",
        &[
            "containment",
            "operator",
            "purge",
            "scheduler",
            "sync",
            "token",
        ],
    ),
];

/// Who may read what is sealed or wrapped; nobody else, whatever else of the row they may read.
const SEALED: [(&str, &str, &[&str]); 8] = [
    ("bulkhead.access_tokens", "sealed", &["sync"]),
    ("bulkhead.access_tokens", "wrapped_dek", &["sync"]),
    ("bulkhead.application_secrets", "sealed", &["token"]),
    ("bulkhead.application_secrets", "wrapped_dek", &["token"]),
    ("bulkhead.order_pii", "sealed", &[]),
    ("bulkhead.refresh_tokens", "sealed", &["token"]),
    ("bulkhead.refresh_tokens", "wrapped_dek", &["token"]),
    ("keystore.pii_keys", "wrapped", &[]),
];

fn short(role: Role) -> &'static str {
    role.login().trim_start_matches("bulkhead_")
}

fn expected(table: &str, role: Role) -> &'static str {
    let tables = TABLES.iter().chain(&MORE_TABLES);
    let mut grants = tables.filter(|(name, _)| *name == table);
    let grants = grants.next().map_or(&[][..], |(_, grants)| grants);
    let grant = grants.iter().find(|(login, _)| *login == short(role));
    grant.map_or("", |(_, letters)| letters)
}

async fn tables(admin: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select format('%s.%s', n.nspname, c.relname)
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ('bulkhead', 'keystore') and c.relkind in ('r', 'p') order by 1",
    )
    .fetch_all(admin)
    .await
    .expect("tables")
}

#[tokio::test]
async fn each_login_has_exactly_the_grants_of_the_matrix_on_each_table_and_none_on_partitions() {
    let fixture = Fixture::new().await;
    let mut admin = fixture.admin().await;
    let tables = tables(&mut admin).await;
    assert!(
        TABLES
            .iter()
            .chain(&MORE_TABLES)
            .all(|(name, _)| tables.iter().any(|table| table == name)),
        "the matrix names a table that is not there"
    );
    for table in &tables {
        for role in Role::ALL {
            let mut found = String::new();
            for (letter, privilege) in [('s', "select"), ('i', "insert"), ('u', "update")] {
                let has = format!(
                    "select has_any_column_privilege('{}', '{table}', '{privilege}')",
                    role.login()
                );
                if scalar(&mut admin, &has).await.expect("an answer") {
                    found.push(letter);
                }
            }
            for (letter, privilege) in [
                ('d', "delete"),
                ('t', "truncate"),
                ('r', "references"),
                ('g', "trigger"),
            ] {
                let has = format!(
                    "select has_table_privilege('{}', '{table}', '{privilege}')",
                    role.login()
                );
                if scalar(&mut admin, &has).await.expect("an answer") {
                    found.push(letter);
                }
            }
            assert_eq!(found, expected(table, role), "{} on {table}", role.login());
        }
    }
}

#[tokio::test]
async fn what_the_matrix_does_not_grant_is_refused_when_it_is_tried() {
    let fixture = Fixture::new().await;
    let mut admin = fixture.admin().await;
    let mut columns = Vec::new();
    for table in tables(&mut admin).await {
        let column = first_column(&mut admin, &table).await;
        columns.push((table, column));
    }
    for role in Role::ALL {
        let mut session = fixture.session(role.login()).await;
        for (table, column) in &columns {
            let attempts = [
                ('s', format!("select count(*) from {table}")),
                ('i', format!("insert into {table} default values")),
                (
                    'u',
                    format!("update {table} set {column} = null where false"),
                ),
                ('d', format!("delete from {table} where false")),
                ('t', format!("truncate {table}")),
            ];
            for (letter, sql) in attempts {
                if expected(table, role).contains(letter) {
                    continue;
                }
                let what = format!("{} may {sql}", role.login());
                let said = refusal(run(&mut session, &sql).await, &what);
                assert!(said.starts_with("permission denied for"), "{what}: {said}");
            }
        }
    }
}

async fn first_column(admin: &mut PgConnection, table: &str) -> String {
    let sql = format!(
        "select attname::text from pg_attribute where attrelid = '{table}'::regclass and attnum = 1"
    );
    scalar(admin, &sql).await.expect("a column")
}

#[tokio::test]
async fn what_is_sealed_is_read_by_the_one_class_that_opens_it() {
    let fixture = Fixture::new().await;
    let mut admin = fixture.admin().await;
    for (table, column, readers) in SEALED {
        for role in Role::ALL {
            let has = format!(
                "select has_column_privilege('{}', '{table}', '{column}', 'select')",
                role.login()
            );
            let may: bool = scalar(&mut admin, &has).await.expect("an answer");
            assert_eq!(
                may,
                readers.contains(&short(role)),
                "{role} reads {table}.{column}"
            );
        }
    }
}

#[tokio::test]
async fn each_function_is_called_by_the_logins_of_the_matrix_and_nobody_else() {
    let fixture = Fixture::new().await;
    let mut admin = fixture.admin().await;
    let functions: BTreeMap<&str, &[&str]> = FUNCTIONS.into_iter().collect();
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select p.oid::bigint, p.proname::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname in ('bulkhead', 'keystore')",
    )
    .fetch_all(&mut admin)
    .await
    .expect("functions");
    for (oid, name) in rows {
        let callers = functions.get(name.as_str()).copied().unwrap_or_default();
        let has = format!("has_function_privilege('{{}}', {oid}::oid, 'execute')");
        for role in Role::ALL {
            let sql = format!("select {}", has.replace("{}", role.login()));
            let may: bool = scalar(&mut admin, &sql).await.expect("an answer");
            assert_eq!(may, callers.contains(&short(role)), "{role} calls {name}");
        }
        let sql = format!("select {}", has.replace("{}", "public"));
        let may: bool = scalar(&mut admin, &sql).await.expect("an answer");
        assert!(!may, "PUBLIC calls {name}");
    }
}

const FORBIDDEN: [&str; 28] = [
    "copy bulkhead.orders from program 'true'",
    "create table bulkhead.mine (x integer)",
    "create table public.mine (x integer)",
    "create table keystore.mine (x integer)",
    "create temporary table mine (x integer)",
    "create schema mine",
    "create view bulkhead.mine as select 1",
    "create function bulkhead.mine() returns integer language sql as 'select 1'",
    "create extension dblink schema bulkhead",
    "create role mine",
    "create database mine",
    "drop table bulkhead.orders",
    "alter table bulkhead.orders disable row level security",
    "alter table bulkhead.orders no force row level security",
    "drop policy sync on bulkhead.orders",
    "alter table bulkhead.audit_events disable trigger all",
    "drop trigger refuse_truncate on bulkhead.audit_events",
    "alter role current_user bypassrls",
    "grant bulkhead_owner to current_user",
    "set role bulkhead_owner",
    "set role postgres",
    "set session authorization postgres",
    "select * from bulkhead.context_secret",
    "select bulkhead.context_mac('x')",
    "select bulkhead.owe_token_refresh(null, null, now(), 0::smallint)",
    "copy (select 1) to '/tmp/bulkhead-test-copy'",
    "select pg_read_file('/etc/hostname')",
    "set session_replication_role = replica",
];

#[tokio::test]
async fn no_login_makes_objects_or_changes_roles_policies_or_triggers() {
    let fixture = Fixture::new().await;
    // What a clone of a template does not get: the grants on the database itself.
    bulkhead_store::Migrator::run(&fixture.database.admin_url())
        .await
        .expect("migrated");
    for role in Role::ALL {
        let mut session = fixture.session(role.login()).await;
        for sql in FORBIDDEN {
            let what = format!("{role} may {sql}");
            let answer = sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut session)
                .await;
            let said = refusal(answer, &what);
            let refused = [
                "permission denied",
                "must be owner",
                "must be superuser",
                "must have",
                "is not allowed",
            ];
            assert!(
                refused.iter().any(|words| said.contains(words)),
                "{what}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn switching_row_security_off_reads_nothing_instead_of_everything() {
    let fixture = Fixture::new().await;
    fixture.seller(1).await;
    let mut session = fixture.session("bulkhead_sync").await;
    run(&mut session, "set row_security = off")
        .await
        .expect("a setting");
    let said = refusal(
        run(&mut session, "select count(*) from bulkhead.connections").await,
        "read with row security off",
    );
    assert!(said.contains("row-level security"), "{said}");
}
