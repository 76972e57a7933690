//! What holds for every table there is, and so for the one that is added next.

use crate::fixture::Fixture;

#[tokio::test]
async fn row_level_security_is_forced_on_every_table_with_a_tenant_partitions_included() {
    let fixture = Fixture::new().await;
    let open: Vec<String> = sqlx::query_scalar(
        "select c.oid::regclass::text from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
         where n.nspname in ('bulkhead', 'keystore') and c.relkind in ('r', 'p')
             and not (c.relrowsecurity and c.relforcerowsecurity)",
    )
    .fetch_all(&mut fixture.admin().await)
    .await
    .expect("tables");
    assert_eq!(open, Vec::<String>::new());
}

#[tokio::test]
async fn the_tenant_leads_every_key_of_a_table_that_has_one() {
    let fixture = Fixture::new().await;
    let keys: Vec<String> = sqlx::query_scalar(
        "select i.indexrelid::regclass::text from pg_index i
         join pg_class c on c.oid = i.indrelid
         join pg_namespace n on n.oid = c.relnamespace
         join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
         where n.nspname in ('bulkhead', 'keystore') and i.indisunique and i.indkey[0] <> a.attnum
             and c.relname not like 'audit\\_events%'",
    )
    .fetch_all(&mut fixture.admin().await)
    .await
    .expect("keys");
    assert_eq!(keys, Vec::<String>::new());
}

#[tokio::test]
async fn the_owner_of_everything_cannot_log_in() {
    let fixture = Fixture::new().await;
    let owners: Vec<(String, bool)> = sqlx::query_as(
        "select distinct r.rolname::text, r.rolcanlogin from pg_class c
         join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner
         where n.nspname in ('bulkhead', 'keystore')
         union
         select r.rolname::text, r.rolcanlogin from pg_proc p
         join pg_namespace n on n.oid = p.pronamespace join pg_roles r on r.oid = p.proowner
         where n.nspname in ('bulkhead', 'keystore')",
    )
    .fetch_all(&mut fixture.admin().await)
    .await
    .expect("owners");
    assert_eq!(owners, [("bulkhead_owner".to_owned(), false)]);
}

#[tokio::test]
async fn every_function_that_runs_as_the_owner_pins_its_search_path() {
    let fixture = Fixture::new().await;
    let loose: Vec<String> = sqlx::query_scalar(
        "select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname in ('bulkhead', 'keystore')
             and not coalesce('search_path=pg_catalog' = any(p.proconfig), false)",
    )
    .fetch_all(&mut fixture.admin().await)
    .await
    .expect("functions");
    assert_eq!(loose, Vec::<String>::new());
}
