//! A job of one tenant neither reads nor writes another's rows, even when its SQL forgets the tenant.

use bulkhead_domain::Dataset;
use bulkhead_store::{EnterError, Entered, JobRef, NewAuditEvent, Role, StoreError};
use sqlx::PgConnection;

use crate::{
    fixture::{Fixture, Seller, begin_and_enter, enter, refusal, run, scalar},
    orders::order,
};

/// Two sellers of two tenants, each with an order and a sync that is owed.
async fn two_sellers(fixture: &Fixture) -> [(Seller, JobRef); 2] {
    let sync = fixture.store(Role::Sync).await;
    let mut sellers = Vec::new();
    for n in [1, 2] {
        let seller = fixture.seller(n).await;
        let job = fixture.owe_sync(seller, "night").await;
        let mut entered = enter(&sync, &job).await;
        let rows = [order("1", "2026-11-01T00:00:00Z", "A")];
        entered
            .upsert_orders(Dataset::Orders, &rows)
            .await
            .expect("an order");
        let mut checkpoint = entered
            .checkpoint(Dataset::Orders)
            .await
            .expect("a checkpoint");
        let advanced = entered
            .advance_checkpoint(Dataset::Orders, &mut checkpoint, Default::default())
            .await;
        advanced.expect("a checkpoint");
        entered.commit().await.expect("a commit");
        sellers.push((seller, job));
    }
    sellers.try_into().expect("two")
}

async fn count(session: &mut PgConnection, from: &str) -> i64 {
    let sql = format!("select count(*) from {from}");
    scalar(session, &sql).await.expect("a count")
}

#[tokio::test]
async fn sql_that_forgets_the_tenant_reads_only_the_entered_jobs_rows() {
    let fixture = Fixture::new().await;
    let [(_, job), _] = two_sellers(&fixture).await;
    let mut session = fixture.session("bulkhead_sync").await;
    begin_and_enter(&mut session, &job).await;
    for table in [
        "bulkhead.orders",
        "bulkhead.checkpoints",
        "bulkhead.connections",
    ] {
        assert_eq!(count(&mut fixture.admin().await, table).await, 2, "{table}");
        assert_eq!(count(&mut session, table).await, 1, "{table}");
    }
}

#[tokio::test]
async fn sql_that_forgets_the_tenant_writes_only_the_entered_jobs_rows() {
    let fixture = Fixture::new().await;
    let [(_, job), (other, _)] = two_sellers(&fixture).await;
    let mut session = fixture.session("bulkhead_sync").await;
    begin_and_enter(&mut session, &job).await;
    let updated = run(
        &mut session,
        "update bulkhead.orders set fulfilled_by = 'ME'",
    )
    .await;
    assert_eq!(updated.expect("an update").rows_affected(), 1);
    run(&mut session, "commit").await.expect("a commit");
    let touched = format!(
        "bulkhead.orders where tenant_id = '{}' and fulfilled_by = 'ME'",
        other.tenant
    );
    assert_eq!(count(&mut fixture.admin().await, &touched).await, 0);
}

#[tokio::test]
async fn rows_cannot_be_put_into_another_tenant() {
    let fixture = Fixture::new().await;
    let [(own, job), (other, _)] = two_sellers(&fixture).await;
    let attempts = [
        format!(
            "insert into bulkhead.orders (tenant_id, connection_id, order_id, created_time, last_updated_time, document, dataset)
             values ('{}', '{}', 'x', now(), now(), '{{}}', 'orders')",
            other.tenant, other.connection
        ),
        format!("update bulkhead.orders set tenant_id = '{}'", other.tenant),
        format!(
            "insert into keystore.pii_keys (tenant_id, ingest_day, dek_id, kek_id, kek_version, wrapped)
             values ('{}', current_date, 1, 'k', 1, '')",
            other.tenant
        ),
        format!(
            "insert into bulkhead.checkpoints (tenant_id, connection_id, dataset) values ('{}', '{}', 'orders')",
            own.tenant, other.connection
        ),
        format!(
            "insert into bulkhead.audit_events (tenant_id, actor, action, resource) values ('{}', 'x', 'x', 'x')",
            other.tenant
        ),
        "insert into bulkhead.audit_events (tenant_id, actor, action, resource) values (null, 'x', 'x', 'x')".into(),
    ];
    for sql in attempts {
        let mut session = fixture.session("bulkhead_sync").await;
        begin_and_enter(&mut session, &job).await;
        let said = refusal(run(&mut session, &sql).await, &sql);
        assert!(said.contains("row-level security policy"), "{sql}: {said}");
    }
}

#[tokio::test]
async fn a_job_sees_no_other_connections_credentials() {
    let fixture = Fixture::new().await;
    let (one, _other) = (fixture.seller(1).await, fixture.seller(2).await);
    let job = fixture.owed_refresh(one).await;
    let mut session = fixture.session("bulkhead_token").await;
    begin_and_enter(&mut session, &job).await;
    for table in [
        "bulkhead.refresh_tokens",
        "bulkhead.application_secrets",
        "bulkhead.applications",
    ] {
        assert_eq!(count(&mut fixture.admin().await, table).await, 2, "{table}");
        assert_eq!(count(&mut session, table).await, 1, "{table}");
    }
}

#[tokio::test]
async fn without_a_job_every_table_of_a_worker_is_closed() {
    let fixture = Fixture::new().await;
    two_sellers(&fixture).await;
    for (login, table) in [
        ("bulkhead_sync", "bulkhead.orders"),
        ("bulkhead_sync", "bulkhead.checkpoints"),
        ("bulkhead_sync", "bulkhead.connections"),
        ("bulkhead_token", "bulkhead.refresh_tokens"),
        ("bulkhead_token", "bulkhead.application_secrets"),
        ("bulkhead_token", "bulkhead.connections"),
        ("bulkhead_purge", "bulkhead.orders"),
    ] {
        let mut session = fixture.session(login).await;
        let sql = format!("select count(*) from {table}");
        let said = refusal(run(&mut session, &sql).await, &sql);
        assert_eq!(
            said, "no job has been entered in this transaction",
            "{login} {table}"
        );
    }
}

#[tokio::test]
async fn the_context_ends_with_its_transaction() {
    let fixture = Fixture::new().await;
    let [(_, job), _] = two_sellers(&fixture).await;
    let mut session = fixture.session("bulkhead_sync").await;
    for end in ["commit", "rollback"] {
        begin_and_enter(&mut session, &job).await;
        assert_eq!(count(&mut session, "bulkhead.orders").await, 1);
        run(&mut session, end).await.expect("an end");
        let said = refusal(
            run(&mut session, "select count(*) from bulkhead.orders").await,
            end,
        );
        assert_eq!(said, "no job has been entered in this transaction");
    }
}

#[tokio::test]
async fn a_context_that_is_kept_moved_or_changed_is_refused() {
    let fixture = Fixture::new().await;
    let [(own, job), (other, _)] = two_sellers(&fixture).await;
    let mut session = fixture.session("bulkhead_sync").await;
    begin_and_enter(&mut session, &job).await;
    let context: String = scalar(&mut session, "select current_setting('bulkhead.context')")
        .await
        .expect("a context");

    // Changed: another tenant, another connection, another application, an empty seal.
    let changes = [
        context.replace(&own.tenant.to_string(), &other.tenant.to_string()),
        context.replace(&own.connection.to_string(), &other.connection.to_string()),
        context.replace(&own.application.to_string(), &other.application.to_string()),
        context[..context.len() - 64].to_owned(),
        "x".to_owned(),
    ];
    for forged in changes {
        run(&mut session, "savepoint before")
            .await
            .expect("a savepoint");
        let set = format!("select set_config('bulkhead.context', '{forged}', true)");
        run(&mut session, &set).await.expect("anybody may set it");
        let said = refusal(
            run(&mut session, "select count(*) from bulkhead.orders").await,
            &forged,
        );
        assert_eq!(
            said,
            "the job context was not made by enter_job in this transaction"
        );
        run(&mut session, "rollback to before")
            .await
            .expect("a rollback");
    }

    // Moved: into another session while its own is still open.
    let set = format!("select set_config('bulkhead.context', '{context}', false)");
    let mut thief = fixture.session("bulkhead_sync").await;
    run(&mut thief, &set).await.expect("anybody may set it");
    let said = refusal(
        run(&mut thief, "select count(*) from bulkhead.orders").await,
        "moved",
    );
    assert_eq!(
        said,
        "the job context was not made by enter_job in this transaction"
    );

    // Kept: in the same session, for the next transaction.
    run(&mut session, "commit").await.expect("a commit");
    run(&mut session, &set).await.expect("anybody may set it");
    let said = refusal(
        run(&mut session, "select count(*) from bulkhead.orders").await,
        "kept",
    );
    assert_eq!(
        said,
        "the job context was not made by enter_job in this transaction"
    );
}

#[tokio::test]
async fn a_transaction_enters_one_job_and_only_in_read_committed() {
    let fixture = Fixture::new().await;
    let [(_, one), (_, two)] = two_sellers(&fixture).await;
    let enter = format!(
        "select bulkhead.enter_job('{}', '{}', '{}', '{}', 1, 1)",
        two.tenant, two.connection, two.job, two.day
    );
    let mut session = fixture.session("bulkhead_sync").await;
    begin_and_enter(&mut session, &one).await;
    let said = refusal(run(&mut session, &enter).await, "a second job");
    assert_eq!(said, "this transaction has entered a job already");
    run(&mut session, "rollback").await.expect("a rollback");

    run(&mut session, "begin isolation level repeatable read")
        .await
        .expect("a transaction");
    let said = refusal(run(&mut session, &enter).await, "repeatable read");
    assert_eq!(said, "enter_job needs read committed");
}

#[tokio::test]
async fn a_job_of_another_class_tenant_connection_or_day_is_unknown() {
    let fixture = Fixture::new().await;
    let [(_, job), (other, _)] = two_sellers(&fixture).await;
    let sync = fixture.store(Role::Sync).await;
    let token = fixture.store(Role::Token).await;
    let strangers = [
        JobRef {
            tenant: other.tenant,
            ..job
        },
        JobRef {
            connection: other.connection,
            ..job
        },
        JobRef {
            tenant: other.tenant,
            connection: other.connection,
            ..job
        },
        JobRef {
            day: job.day.tomorrow().expect("a day"),
            ..job
        },
    ];
    for stranger in strangers {
        let answer = sync.enter(&stranger).await;
        assert!(
            matches!(answer, Err(EnterError::Unknown { .. })),
            "{stranger:?}: {answer:?}"
        );
    }
    let answer = token.enter(&job).await;
    assert!(
        matches!(answer, Err(EnterError::Unknown { .. })),
        "{answer:?}"
    );
    assert!(matches!(sync.enter(&job).await, Ok(Entered::Job(_))));
}

#[tokio::test]
async fn a_login_that_is_no_worker_enters_nothing() {
    let fixture = Fixture::new().await;
    let [(_, job), _] = two_sellers(&fixture).await;
    for role in [Role::Scheduler, Role::Operator] {
        let answer = fixture.store(role).await.enter(&job).await;
        assert!(
            matches!(answer, Err(EnterError::Store(StoreError::Refused { .. }))),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_job_notes_events_of_its_own_tenant_only() {
    let fixture = Fixture::new().await;
    let [(own, job), (other, _)] = two_sellers(&fixture).await;
    let sync = fixture.store(Role::Sync).await;
    for (tenant, allowed) in [(own.tenant, true), (other.tenant, false)] {
        let mut entered = enter(&sync, &job).await;
        let event = NewAuditEvent {
            tenant: Some(tenant),
            actor: "bulkhead-sync",
            action: "test",
            resource: "test",
            details: serde_json::json!({}),
        };
        let answer = entered.append_audit(&event).await;
        assert_eq!(answer.is_ok(), allowed, "{answer:?}");
    }
}
