//! Only the newest lease writes, and nothing writes behind a fence.

use bulkhead_domain::Dataset;
use bulkhead_store::{Entered, JobRef, Outcome, Role, Store};

use crate::{
    fixture::{Fixture, enter, run, scalar, token},
    orders::order,
};

fn with_token(job: JobRef, number: u64) -> JobRef {
    JobRef {
        token: token(number),
        ..job
    }
}

async fn word(store: &Store, job: &JobRef) -> &'static str {
    match store.enter(job).await.expect("an answer") {
        Entered::Job(entered) => {
            entered.commit().await.expect("a commit");
            "entered"
        }
        Entered::AlreadyDone => "done",
        Entered::Fenced => "fenced",
        Entered::Stopped => "stopped",
        Entered::Cancelled => "cancelled",
    }
}

#[tokio::test]
async fn an_older_lease_is_refused_once_a_newer_one_has_entered() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let job = fixture.owe_sync(seller, "night").await;
    let sync = fixture.store(Role::Sync).await;
    let expected = [
        (7, "entered"),
        (7, "entered"),
        (6, "fenced"),
        (9, "entered"),
        (8, "fenced"),
        (9, "entered"),
    ];
    for (number, answer) in expected {
        assert_eq!(
            word(&sync, &with_token(job, number)).await,
            answer,
            "{number}"
        );
    }
}

#[tokio::test]
async fn a_lease_that_entered_and_was_rolled_back_fences_nobody() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let job = fixture.owe_sync(seller, "night").await;
    let sync = fixture.store(Role::Sync).await;
    drop(enter(&sync, &with_token(job, 9)).await);
    assert_eq!(word(&sync, &with_token(job, 8)).await, "entered");
}

#[tokio::test]
async fn a_newer_lease_waits_for_the_older_ones_open_transaction_and_then_shuts_it_out() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let job = fixture.owe_sync(seller, "night").await;
    let sync = fixture.store(Role::Sync).await;
    let mut older = enter(&sync, &with_token(job, 1)).await;

    let newer = tokio::spawn({
        let sync = sync.clone();
        async move { word(&sync, &with_token(job, 2)).await }
    });
    wait_until_blocked(&fixture).await;
    let rows = [order("1", "2026-11-01T00:00:00Z", "A")];
    older
        .upsert_orders(Dataset::Orders, &rows)
        .await
        .expect("an order");
    older.commit().await.expect("its commit comes first");
    assert_eq!(newer.await.expect("an answer"), "entered");
    assert_eq!(word(&sync, &with_token(job, 1)).await, "fenced");
}

/// Until a session waits for a row's lock.
async fn wait_until_blocked(fixture: &Fixture) {
    let mut admin = fixture.admin().await;
    let waiting = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    while !scalar::<bool>(&mut admin, waiting)
        .await
        .expect("an answer")
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_finished_or_withdrawn_job_is_not_entered_again() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let sync = fixture.store(Role::Sync).await;
    for (name, outcome, answer) in [
        ("a", Outcome::Done, "done"),
        ("b", Outcome::Dead("gone"), "cancelled"),
        ("c", Outcome::Discarded("not needed"), "cancelled"),
        ("d", Outcome::Failed("503"), "entered"),
    ] {
        let job = fixture.owe_sync(seller, name).await;
        let mut entered = enter(&sync, &job).await;
        entered.finish(outcome).await.expect("an end");
        entered.commit().await.expect("a commit");
        assert_eq!(word(&sync, &job).await, answer, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_closed_fence_of_the_application_tenant_or_connection_stops_the_job() {
    let fixture = Fixture::new().await;
    let (seller, other) = (fixture.seller(1).await, fixture.seller(2).await);
    let job = fixture.owe_sync(seller, "night").await;
    let others = fixture.owe_sync(other, "night").await;
    let sync = fixture.store(Role::Sync).await;
    let mut containment = fixture.session("bulkhead_containment").await;
    for (scope, id) in [
        ("application", seller.application.uuid()),
        ("tenant", seller.tenant.uuid()),
        ("connection", seller.connection.uuid()),
    ] {
        let close = format!(
            "insert into bulkhead.fences (scope, id, state) values ('{scope}', '{id}', 'closed')
             on conflict (scope, id) do update set state = 'closed', epoch = fences.epoch + 1"
        );
        run(&mut containment, &close).await.expect("a closed fence");
        assert_eq!(word(&sync, &job).await, "stopped", "{scope}");
        assert_eq!(word(&sync, &others).await, "entered", "{scope}");
        let open = format!(
            "update bulkhead.fences set state = 'open', epoch = epoch + 1 where scope = '{scope}' and id = '{id}'"
        );
        run(&mut containment, &open).await.expect("an open fence");
        assert_eq!(word(&sync, &job).await, "entered", "{scope}");
    }
}

#[tokio::test]
async fn who_enters_is_told_the_sum_of_the_epochs_of_its_fences_and_the_scheduler_each() {
    let fixture = Fixture::new().await;
    let (seller, other) = (fixture.seller(1).await, fixture.seller(2).await);
    let job = fixture.owe_sync(seller, "night").await;
    let others = fixture.owe_sync(other, "night").await;
    let sync = fixture.store(Role::Sync).await;
    let epoch = async |job| enter(&sync, job).await.epoch().get();
    assert_eq!(epoch(&job).await, 0);
    let mut containment = fixture.session("bulkhead_containment").await;
    for (scope, id, epoch) in [
        ("application", uuid::Uuid::from_u128(7), 1_000),
        ("tenant", seller.tenant.uuid(), 20),
        ("connection", seller.connection.uuid(), 4),
        // The same id in another scope is another thing.
        ("application", seller.tenant.uuid(), 100),
    ] {
        let open = format!(
            "insert into bulkhead.fences (scope, id, epoch, state) values ('{scope}', '{id}', {epoch}, 'open')"
        );
        run(&mut containment, &open)
            .await
            .expect("a released fence");
    }
    assert_eq!(epoch(&job).await, 24);
    assert_eq!(epoch(&others).await, 0);
    let scheduler = fixture.store(Role::Scheduler).await;
    let fences = scheduler.fences().all(9).await.expect("fences");
    assert_eq!(fences.len(), 4);
    assert!(fences.iter().all(|fence| !fence.closed));
    let sum: u64 = fences.iter().map(|fence| fence.epoch).sum();
    assert_eq!(sum, 1_124);
}

#[tokio::test]
async fn who_closes_a_fence_can_wait_for_those_who_are_inside() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let job = fixture.owe_sync(seller, "night").await;
    let sync = fixture.store(Role::Sync).await;
    let mut containment = fixture.session("bulkhead_containment").await;
    for (scope, id) in [
        ("application", seller.application.uuid()),
        ("tenant", seller.tenant.uuid()),
        ("connection", seller.connection.uuid()),
    ] {
        let drained =
            format!("select pg_try_advisory_xact_lock(bulkhead.fence_lock('{scope}', '{id}'))");
        let inside = enter(&sync, &job).await;
        assert!(
            !scalar::<bool>(&mut containment, &drained)
                .await
                .expect("an answer"),
            "{scope}"
        );
        inside.commit().await.expect("a commit");
        assert!(
            scalar::<bool>(&mut containment, &drained)
                .await
                .expect("an answer"),
            "{scope}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_not_active_stops_its_jobs() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let job = fixture.owe_sync(seller, "night").await;
    let sync = fixture.store(Role::Sync).await;
    let mut admin = fixture.admin().await;
    for state in ["paused", "reauthorize", "contained"] {
        let set = format!("update bulkhead.connections set state = '{state}'");
        run(&mut admin, &set).await.expect("a state");
        assert_eq!(word(&sync, &job).await, "stopped", "{state}");
    }
}
