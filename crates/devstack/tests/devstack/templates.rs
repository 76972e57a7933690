use std::sync::atomic::{AtomicUsize, Ordering};

use bulkhead_devstack::{Cluster, Database, DatabaseError, TemplateDatabase};
use sqlx::{Connection, PgConnection};

async fn migrate(url: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&url).await?;
    sqlx::raw_sql("create table marked (id int); insert into marked values (1)")
        .execute(&mut connection)
        .await?;
    connection.close().await
}

async fn exists(cluster: &Cluster, database: &str) -> bool {
    let mut admin = PgConnection::connect(&cluster.admin_url("postgres"))
        .await
        .unwrap();
    let found = sqlx::query_scalar("select exists (select from pg_database where datname = $1)");
    found.bind(database).fetch_one(&mut admin).await.unwrap()
}

async fn rows(database: &Database) -> i64 {
    let mut connection = PgConnection::connect(&database.admin_url()).await.unwrap();
    sqlx::query_scalar("select count(*) from marked")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn clones_hold_what_the_template_holds_and_are_apart() {
    let cluster = Cluster::from_env_or_start().await.unwrap();
    let key = uuid::Uuid::new_v4().to_string();
    let template = TemplateDatabase::new(&cluster, "apart", &key, migrate)
        .await
        .unwrap();
    let (one, two) =
        tokio::try_join!(template.clone_database(), template.clone_database()).unwrap();
    let mut connection = PgConnection::connect(&one.url("postgres")).await.unwrap();
    sqlx::query("insert into marked values (2)")
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!((rows(&one).await, rows(&two).await), (2, 1));
}

#[tokio::test]
async fn a_clone_is_gone_once_it_is_dropped_or_closed_even_with_sessions_on_it() {
    let cluster = Cluster::from_env_or_start().await.unwrap();
    let key = uuid::Uuid::new_v4().to_string();
    let template = TemplateDatabase::new(&cluster, "gone", &key, migrate)
        .await
        .unwrap();
    let (one, two) =
        tokio::try_join!(template.clone_database(), template.clone_database()).unwrap();
    let names = [one.name().to_owned(), two.name().to_owned()];
    let _session = PgConnection::connect(&one.admin_url()).await.unwrap();
    drop(one);
    two.close().await.unwrap();
    for name in names {
        assert!(!exists(&cluster, &name).await, "{name}");
    }
}

#[tokio::test]
async fn a_template_is_made_once_however_many_want_it() {
    let cluster = Cluster::from_env_or_start().await.unwrap();
    let key = uuid::Uuid::new_v4().to_string();
    let made = AtomicUsize::new(0);
    let make = || {
        TemplateDatabase::new(&cluster, "once", &key, async |url| {
            made.fetch_add(1, Ordering::SeqCst);
            migrate(url).await
        })
    };
    tokio::try_join!(make(), make(), make(), make()).unwrap();
    make().await.unwrap();
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_template_whose_migration_failed_is_made_anew() {
    let cluster = Cluster::from_env_or_start().await.unwrap();
    let key = uuid::Uuid::new_v4().to_string();
    let half_way = async |url: String| {
        migrate(url).await?;
        Err(sqlx::Error::WorkerCrashed)
    };
    let failed = TemplateDatabase::new(&cluster, "anew", &key, half_way).await;
    assert!(
        matches!(failed, Err(DatabaseError::Migrate { .. })),
        "{failed:?}"
    );
    let template = TemplateDatabase::new(&cluster, "anew", &key, migrate)
        .await
        .unwrap();
    assert_eq!(rows(&template.clone_database().await.unwrap()).await, 1);
}

#[tokio::test]
async fn a_name_that_sql_would_have_to_quote_is_refused() {
    let cluster = Cluster::at("postgres://postgres@nowhere.invalid/postgres").unwrap();
    for name in [
        "",
        "Upper",
        "1st",
        "a-b",
        "x;drop",
        "a_name_longer_than_it_may_be",
    ] {
        let refused = TemplateDatabase::new(&cluster, name, "", migrate).await;
        assert!(matches!(refused, Err(DatabaseError::Name { .. })), "{name}");
    }
}

#[test]
fn a_role_takes_the_place_of_the_superuser_in_every_form_of_url() {
    let url = |admin| Cluster::at(admin).unwrap().url("bulkhead_sync", "db");
    assert_eq!(
        url("postgres://postgres:pw@%2Ftmp%2Fx:5432/postgres"),
        "postgres://bulkhead_sync@%2Ftmp%2Fx:5432/db"
    );
    assert_eq!(
        url("postgres:///postgres?host=/tmp"),
        "postgres:///db?host=/tmp&user=bulkhead_sync"
    );
}
