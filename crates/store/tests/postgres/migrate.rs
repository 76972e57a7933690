//! The schema and the roles can be made by several at once, again, and only by those who may.

use bulkhead_devstack::{PostgresOptions, PostgresServer};
use bulkhead_store::{MigrateError, Migrated, Migrator, Role};
use sqlx::{Connection as _, PgConnection};

use crate::fixture::{Fixture, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn databases_of_an_empty_cluster_are_migrated_at_once() {
    let server = PostgresServer::start(PostgresOptions::default())
        .await
        .expect("a server");
    let mut admin = PgConnection::connect(&server.admin_url("postgres"))
        .await
        .expect("a session");
    let names = ["a", "b", "c", "d"];
    for name in names {
        run(&mut admin, &format!("create database {name}"))
            .await
            .expect("a database");
    }
    // Each database twice.
    let runs = names.iter().chain(&names).map(|name| {
        let url = server.admin_url(name);
        tokio::spawn(async move { Migrator::run(&url).await })
    });
    for run in futures_util::future::join_all(runs).await {
        let migrated = run.expect("no panic").expect("migrated");
        assert_eq!(migrated.to, Migrator::newest_version());
    }
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let fixture = Fixture::new().await;
    let newest = Migrator::newest_version();
    let url = fixture.database.admin_url();
    assert_eq!(
        Migrator::applied(&url).await.expect("a version"),
        Some(newest)
    );
    let migrated = Migrator::run(&url).await.expect("migrated");
    assert_eq!(
        migrated,
        Migrated {
            from: Some(newest),
            to: newest
        }
    );
    assert_eq!(Migrator::after(Some(newest)).count(), 0);
    assert_eq!(Migrator::after(None).next(), Some((1, "schemas")));
}

#[tokio::test]
async fn the_migrator_login_brings_a_database_up_to_date() {
    let fixture = Fixture::new().await;
    let migrated = Migrator::run(&fixture.database.url("bulkhead_migrator")).await;
    assert_eq!(migrated.expect("migrated").to, Migrator::newest_version());
}

#[tokio::test]
async fn the_logins_of_processes_may_not_migrate() {
    let fixture = Fixture::new().await;
    for role in Role::ALL {
        let error = Migrator::run(&fixture.database.url(role.login()))
            .await
            .expect_err("refused");
        assert!(
            matches!(error, MigrateError::NotPrivileged { .. }),
            "{error:?}"
        );
    }
}
