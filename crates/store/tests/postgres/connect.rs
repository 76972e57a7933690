//! A process starts only as exactly the login it should be, on a schema that it knows.

use bulkhead_devstack::Cluster;
use bulkhead_store::{ConnectError, Migrator, Role, Store, StoreOptions};

use crate::fixture::{Fixture, run};

async fn connect(url: &str, role: Role) -> ConnectError {
    let options = StoreOptions::new(url, "test");
    Store::connect(&options, role).await.expect_err("refused")
}

#[tokio::test]
async fn every_role_connects_as_its_own_login_and_answers() {
    let fixture = Fixture::new().await;
    for role in Role::ALL {
        let store = fixture.store(role).await;
        store.ping().await.expect("an answer");
        store.close().await;
        assert!(store.ping().await.expect_err("closed").is_outage());
    }
}

#[tokio::test]
async fn a_superuser_is_refused() {
    let fixture = Fixture::new().await;
    let error = connect(&fixture.database.admin_url(), Role::Sync).await;
    assert_eq!(
        error.to_string(),
        "postgres is a superuser: row-level security would not hold; give it no more than `bulkhead migrate` does"
    );
}

#[tokio::test]
async fn a_member_of_the_owner_is_refused() {
    let fixture = Fixture::new().await;
    let error = connect(&fixture.database.url("bulkhead_migrator"), Role::Operator).await;
    assert!(matches!(error, ConnectError::TooPowerful { .. }), "{error}");
}

#[tokio::test]
async fn another_class_is_refused() {
    let fixture = Fixture::new().await;
    let error = connect(&fixture.database.url("bulkhead_token"), Role::Sync).await;
    assert_eq!(
        error.to_string(),
        "this process must log in to Postgres as bulkhead_sync, not as bulkhead_token"
    );
}

#[tokio::test]
async fn a_database_that_nobody_has_migrated_is_named_as_such() {
    let fixture = Fixture::new().await;
    // The roles exist in the cluster; its first database has no schema.
    let cluster = Cluster::shared().await.expect("a cluster");
    let error = connect(&cluster.url("bulkhead_sync", "postgres"), Role::Sync).await;
    assert!(matches!(error, ConnectError::NotMigrated), "{error:?}");
    drop(fixture);
}

#[tokio::test]
async fn an_older_schema_is_refused_and_a_newer_one_is_not() {
    let fixture = Fixture::new().await;
    let mut admin = fixture.admin().await;
    let newest = Migrator::newest_version();
    run(&mut admin, "insert into bulkhead._sqlx_migrations select 999999, 'later', installed_on, true, checksum, 0 from bulkhead._sqlx_migrations limit 1")
        .await
        .expect("a later version");
    fixture.store(Role::Sync).await;
    let back = format!("delete from bulkhead._sqlx_migrations where version >= {newest}");
    run(&mut admin, &back).await.expect("an older version");
    let error = connect(&fixture.database.url("bulkhead_sync"), Role::Sync).await;
    assert!(matches!(error, ConnectError::Outdated { .. }), "{error:?}");
    assert!(
        error.to_string().ends_with("run `bulkhead migrate`"),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_where_nobody_answers_is_told_from_a_malformed_one() {
    let nobody = "postgres://bulkhead_sync@%2Fnonexistent:5432/x";
    let error = connect(nobody, Role::Sync).await;
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
    let error = connect("not a url", Role::Sync).await;
    assert!(matches!(error, ConnectError::Url(_)), "{error:?}");
}

#[tokio::test]
async fn a_login_or_database_that_is_not_there_is_told_from_a_server_that_is_not() {
    let cluster = Cluster::shared().await.expect("a cluster");
    let strangers = [
        cluster.url("nobody_of_this_name", "postgres"),
        cluster.url("postgres", "no_such_database"),
    ];
    for url in strangers {
        let error = connect(&url, Role::Sync).await;
        assert!(matches!(error, ConnectError::Rejected(_)), "{error:?}");
    }
}

#[test]
fn options_do_not_show_the_password() {
    let options = StoreOptions::new("postgres://bulkhead_sync:geheim@host/x", "test");
    assert!(!format!("{options:?}").contains("geheim"));
}
