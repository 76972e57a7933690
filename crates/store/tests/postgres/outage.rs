//! Postgres goes away in the middle, and comes back.

use std::time::Duration;

use bulkhead_devstack::{PostgresOptions, PostgresServer};
use bulkhead_domain::Dataset;
use bulkhead_store::{Migrator, Role, Store, StoreOptions};

use crate::{
    fixture::{Fixture, enter, run, scalar},
    orders::order,
};

#[tokio::test]
async fn a_postgres_that_dies_is_an_outage_and_the_same_store_goes_on_when_it_is_back() {
    let mut server = PostgresServer::start(PostgresOptions::default())
        .await
        .expect("a server");
    Migrator::run(&server.admin_url("postgres"))
        .await
        .expect("migrated");
    let url = server.url("bulkhead_scheduler", "postgres");
    let options = StoreOptions {
        acquire_timeout: Duration::from_millis(200),
        ..StoreOptions::new(&url, "test")
    };
    let store = Store::connect(&options, Role::Scheduler)
        .await
        .expect("a session");
    server.kill();
    for _ in 0..2 {
        let error = store
            .obligations()
            .next_due()
            .await
            .expect_err("nobody answers");
        assert!(error.is_outage(), "{error:?}");
    }
    server.restart().await.expect("a server");
    store.obligations().next_due().await.expect("an answer");
}

#[tokio::test]
async fn a_transaction_whose_session_the_server_has_ended_commits_nothing() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let job = fixture.owe_sync(seller, "night").await;
    let sync = fixture.store(Role::Sync).await;
    let mut entered = enter(&sync, &job).await;
    let rows = [order("1", "2026-11-01T00:00:00Z", "A")];
    entered
        .upsert_orders(Dataset::Orders, &rows)
        .await
        .expect("an order");

    let mut admin = fixture.admin().await;
    let end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity
               where datname = current_database() and usename = 'bulkhead_sync'";
    run(&mut admin, end).await.expect("ended");
    let error = entered.commit().await.expect_err("no session");
    assert!(error.is_outage(), "{error:?}");
    let kept: i64 = scalar(&mut admin, "select count(*) from bulkhead.orders")
        .await
        .expect("a count");
    assert_eq!(kept, 0);
    enter(&sync, &job)
        .await
        .commit()
        .await
        .expect("another session");
}
