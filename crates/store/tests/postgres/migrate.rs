//! The schema and the roles can be made by several at once, again, and only by those who may.

use std::{convert::Infallible, fs, path::Path};

use bulkhead_devstack::{Cluster, PostgresOptions, PostgresServer, TemplateDatabase};
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

/// The migrations in their order.
fn migrations() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let files = fs::read_dir(&folder).expect("the migrations");
    let names = files.map(|file| file.expect("a file").file_name());
    let mut names: Vec<String> = names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.starts_with('0'))
        .collect();
    names.sort_unstable();
    let read = |name: &String| fs::read_to_string(folder.join(name)).expect("a migration");
    names.iter().map(read).collect()
}

#[tokio::test]
async fn weights_from_before_they_were_per_class_are_kept_for_each_class_that_has_jobs() {
    // Roles belong to the cluster: a migrated database has made them.
    let _migrated = Fixture::new().await;
    let cluster = Cluster::shared().await.expect("a cluster");
    let nothing = async |_: String| Ok::<(), Infallible>(());
    let empty = TemplateDatabase::new(cluster, "empty", "empty", nothing).await;
    let database = empty.expect("a template").clone_database().await;
    let database = database.expect("a clone");
    let mut session = PgConnection::connect(&database.admin_url())
        .await
        .expect("a session");
    let prepare = "create schema bulkhead authorization bulkhead_owner;
                   grant create on database current_database to bulkhead_owner;
                   set role bulkhead_owner;
                   create table bulkhead._sqlx_migrations (version bigint, success boolean)";
    let name = "select current_database()::text";
    let name: String = crate::fixture::scalar(&mut session, name)
        .await
        .expect("a name");
    let prepare = prepare.replace("current_database", &format!("\"{name}\""));
    run(&mut session, &prepare).await.expect("an empty schema");
    let migrations = migrations();
    for migration in &migrations[..15] {
        run(&mut session, migration).await.expect("migrated");
    }
    let tenants = "reset role; insert into bulkhead.tenants (id, name, weight)
                   select gen_random_uuid(), weight::text, weight from unnest(array[1, 5, 500]) as weight;
                   set role bulkhead_owner";
    run(&mut session, tenants).await.expect("tenants");
    run(&mut session, &migrations[15]).await.expect("migrated");
    run(&mut session, "reset role").await.expect("a superuser");
    let weights: Vec<(String, String, f64)> = sqlx::query_as(
        "select t.name, w.class, w.weight from bulkhead.queue_weights w
         join bulkhead.tenants t on t.id = w.tenant_id order by t.name, w.class",
    )
    .fetch_all(&mut session)
    .await
    .expect("weights");
    let expected = [("5", 5.0), ("500", 100.0)]
        .into_iter()
        .flat_map(|(name, weight)| {
            ["sync", "token"].map(|class| (name.to_owned(), class.to_owned(), weight))
        });
    assert_eq!(weights, expected.collect::<Vec<_>>());
}
