//! Each protection is taken away once, and the attack that it holds off succeeds: so no test passes for another reason.

use bulkhead_domain::Dataset;
use bulkhead_store::{JobRef, Role};

use crate::{
    fixture::{Fixture, begin_and_enter, enter, run, scalar, token},
    orders::order,
};

/// Two tenants with an order each; the job of the first.
async fn two_orders(fixture: &Fixture) -> JobRef {
    let sync = fixture.store(Role::Sync).await;
    let mut jobs = Vec::new();
    for n in [1, 2] {
        let seller = fixture.seller(n).await;
        let job = fixture.owe_sync(seller, "night").await;
        let mut entered = enter(&sync, &job).await;
        let rows = [order("1", "2026-11-01T00:00:00Z", "A")];
        entered
            .upsert_orders(Dataset::Orders, &rows)
            .await
            .expect("an order");
        entered.commit().await.expect("a commit");
        jobs.push(job);
    }
    jobs[0]
}

async fn mutate(fixture: &Fixture, sql: &str) {
    run(&mut fixture.admin().await, sql)
        .await
        .expect("a mutant");
}

#[tokio::test]
async fn without_row_level_security_sql_that_forgets_the_tenant_reads_all() {
    let fixture = Fixture::new().await;
    let job = two_orders(&fixture).await;
    mutate(
        &fixture,
        "alter table bulkhead.orders disable row level security",
    )
    .await;
    let mut session = fixture.session("bulkhead_sync").await;
    begin_and_enter(&mut session, &job).await;
    let read: i64 = scalar(&mut session, "select count(*) from bulkhead.orders")
        .await
        .expect("a count");
    assert_eq!(read, 2);
}

#[tokio::test]
async fn without_the_signature_a_worker_names_its_tenant_itself() {
    let fixture = Fixture::new().await;
    let job = two_orders(&fixture).await;
    mutate(
        &fixture,
        "create or replace function bulkhead.context_mac(payload text) returns text
         language sql stable set search_path = pg_catalog as $$ select repeat('0', 64) $$",
    )
    .await;
    let mut session = fixture.session("bulkhead_sync").await;
    let forged = format!(
        "select set_config('bulkhead.context', '{}/{}/x/{}/{}/sync/' || repeat('0', 64), false)",
        job.tenant, job.connection, job.job, job.day
    );
    run(&mut session, &forged).await.expect("a setting");
    let read: i64 = scalar(&mut session, "select count(*) from bulkhead.orders")
        .await
        .expect("a count");
    assert_eq!(read, 1);
}

#[tokio::test]
async fn without_the_transaction_in_the_signature_a_kept_context_works_again() {
    let fixture = Fixture::new().await;
    let job = two_orders(&fixture).await;
    mutate(
        &fixture,
        "create or replace function bulkhead.context_mac(payload text) returns text
         language sql stable set search_path = pg_catalog as $$
            select encode(sha256(secret || convert_to(payload, 'UTF8') || secret), 'hex') from bulkhead.context_secret $$",
    )
    .await;
    let mut session = fixture.session("bulkhead_sync").await;
    begin_and_enter(&mut session, &job).await;
    let context: String = scalar(&mut session, "select current_setting('bulkhead.context')")
        .await
        .expect("a context");
    run(&mut session, "commit").await.expect("a commit");
    let keep = format!("select set_config('bulkhead.context', '{context}', false)");
    run(&mut session, &keep).await.expect("a setting");
    let read: i64 = scalar(&mut session, "select count(*) from bulkhead.orders")
        .await
        .expect("a count");
    assert_eq!(read, 1);
}

#[tokio::test]
async fn without_its_own_trigger_a_partition_of_the_audit_log_is_truncated() {
    let fixture = Fixture::new().await;
    fixture.seller(1).await;
    let mut admin = fixture.admin().await;
    let today: String = scalar(
        &mut admin,
        "select 'bulkhead.audit_events_' || to_char(now() at time zone 'UTC', 'YYYYMMDD')",
    )
    .await
    .expect("a name");
    mutate(
        &fixture,
        &format!("drop trigger refuse_truncate on {today}"),
    )
    .await;
    run(&mut admin, &format!("truncate {today}"))
        .await
        .expect("truncated");
}

#[tokio::test]
async fn without_the_trigger_a_connection_owes_two_token_refreshes() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    mutate(
        &fixture,
        "drop trigger one_live_token_refresh on bulkhead.obligations",
    )
    .await;
    let second = format!(
        "insert into bulkhead.obligations (tenant_id, id, day, kind, connection_id, application_id, due_at)
         values ('{}', gen_random_uuid(), current_date, 'token_refresh', '{}', '{}', now())",
        seller.tenant, seller.connection, seller.application
    );
    run(&mut fixture.admin().await, &second)
        .await
        .expect("a second one");
}

#[tokio::test]
async fn without_the_stored_token_an_older_lease_enters_again() {
    let fixture = Fixture::new().await;
    let job = two_orders(&fixture).await;
    let sync = fixture.store(Role::Sync).await;
    let newer = JobRef {
        token: token(9),
        ..job
    };
    enter(&sync, &newer).await.commit().await.expect("a commit");
    assert!(matches!(
        sync.enter(&job).await,
        Ok(bulkhead_store::Entered::Fenced)
    ));
    mutate(
        &fixture,
        "update bulkhead.obligations set fencing_token = 0",
    )
    .await;
    enter(&sync, &job).await.commit().await.expect("a commit");
}
