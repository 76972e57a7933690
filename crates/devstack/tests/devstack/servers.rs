use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use bulkhead_devstack::{
    PostgresOptions, PostgresServer, RedisCluster, RedisOptions, RedisServer, StartError,
};
use sqlx::{Connection, PgConnection};

#[tokio::test]
async fn redis_answers_on_its_socket_and_on_tcp() {
    let server = RedisServer::start(RedisOptions {
        tcp: true,
        ..Default::default()
    })
    .await
    .unwrap();
    for url in [server.url(), server.tcp_url().unwrap()] {
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let () = redis::cmd("SET")
            .arg("key")
            .arg(1)
            .exec_async(&mut connection)
            .await
            .unwrap();
    }
    assert_eq!(server.command("DBSIZE").unwrap(), ":1");
    server.flush().unwrap();
    assert_eq!(server.command("DBSIZE").unwrap(), ":0");
}

#[tokio::test]
async fn redis_restarted_empty_has_the_same_url_and_no_keys() {
    let persistent = vec!["appendonly yes".to_owned(), "appendfsync always".to_owned()];
    let mut server = RedisServer::start(RedisOptions {
        config: persistent,
        ..Default::default()
    })
    .await
    .unwrap();
    let (url, pid) = (server.url(), server.pid());
    assert_eq!(server.command("SET key 1").unwrap(), "+OK");
    server.restart().await.unwrap();
    assert_eq!(
        server.command("DBSIZE").unwrap(),
        ":1",
        "an ordinary restart keeps what was persisted"
    );
    server.restart_empty().await.unwrap();
    assert_eq!(server.command("DBSIZE").unwrap(), ":0");
    assert_eq!(server.url(), url);
    assert_ne!(server.pid(), pid);
}

#[tokio::test]
async fn a_server_that_dies_at_start_shows_the_end_of_its_log() {
    let nonsense = RedisOptions {
        config: vec!["no-such-directive yes".into()],
        ..Default::default()
    };
    let error = RedisServer::start(nonsense).await.unwrap_err();
    assert!(matches!(error, StartError::Ended { .. }), "{error}");
    assert!(error.to_string().contains("no-such-directive"), "{error}");

    let nonsense = PostgresOptions {
        config: vec!["no_such_setting = 1".into()],
        ..Default::default()
    };
    let error = PostgresServer::start(nonsense).await.unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn sqlx_connects_to_postgres_by_url_on_socket_and_tcp() {
    let server = PostgresServer::start(PostgresOptions {
        tcp: true,
        ..Default::default()
    })
    .await
    .unwrap();
    for url in [
        server.admin_url("postgres"),
        server.tcp_url("postgres", "postgres").unwrap(),
    ] {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let user: String = sqlx::query_scalar("select current_user::text")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(user, "postgres");
    }
}

#[tokio::test]
async fn postgres_killed_in_every_process_recovers_what_was_committed() {
    let mut server = PostgresServer::start(PostgresOptions::default())
        .await
        .unwrap();
    let url = server.admin_url("postgres");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("create table kept (id int); insert into kept values (7)")
        .execute(&mut connection)
        .await
        .unwrap();
    server.kill();
    assert!(
        sqlx::query("select 1")
            .execute(&mut connection)
            .await
            .is_err()
    );
    assert!(PgConnection::connect(&url).await.is_err());

    server.restart().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let id: i32 = sqlx::query_scalar("select id from kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(id, 7);
}

#[tokio::test]
async fn dropped_servers_leave_no_process_and_no_folder() {
    let redis = RedisServer::start(RedisOptions::default()).await.unwrap();
    let postgres = PostgresServer::start(PostgresOptions::default())
        .await
        .unwrap();
    postgres.stop();
    let pids = [redis.pid(), postgres.pid()];
    let folders = [
        redis.socket().parent().unwrap().to_path_buf(),
        postgres.socket_folder().to_path_buf(),
    ];
    drop((redis, postgres));
    assert!(
        pids.iter()
            .all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    );
    assert!(folders.iter().all(|folder| !folder.exists()));
}

#[tokio::test]
async fn a_kept_folder_holds_data_and_logs_and_is_used_again() {
    let folder = tempfile::Builder::new()
        .permissions(world_may_enter())
        .tempdir_in("/tmp")
        .unwrap();
    let dir = folder.path().join("postgres");
    let options = PostgresOptions {
        dir: Some(dir.clone()),
        ..Default::default()
    };
    let create = "create table kept as select 7 as id";
    for sql in [create, "select id from kept"] {
        let server = PostgresServer::start(options.clone()).await.unwrap();
        let url = server.admin_url("postgres");
        let done = Command::new("psql")
            .args([&url, "-v", "ON_ERROR_STOP=1", "-c", sql])
            .status()
            .unwrap();
        assert!(done.success(), "{sql}");
        assert_eq!(server.log(), dir.join("postgres.log"));
    }
    assert!(dir.join("postgres.log").exists());
}

/// `postgres` must reach the folder when root runs this.
fn world_may_enter() -> Permissions {
    Permissions::from_mode(0o755)
}

#[tokio::test]
async fn three_nodes_are_one_cluster_also_after_one_came_back_empty_and_a_slot_has_moved() {
    let mut cluster = RedisCluster::start().await.unwrap();
    let keys = ["{a}", "{b}", "{c}"];
    assert_eq!(keys.map(|key| cluster.node_of(key).unwrap()), [2, 0, 1]);
    let set = |cluster: &RedisCluster, key: &str| {
        let node = &cluster.nodes()[cluster.node_of(key).unwrap()];
        node.command(&format!("SET {key} 1")).unwrap()
    };
    assert_eq!(keys.map(|key| set(&cluster, key)), ["+OK"; 3]);
    cluster.restart_empty(0).await.unwrap();
    let sizes = |cluster: &RedisCluster| {
        let size = |node: &RedisServer| node.command("DBSIZE").unwrap();
        cluster.nodes().iter().map(size).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&cluster), [":0", ":1", ":1"]);
    cluster.open_slot("{a}", 1).unwrap().finish().unwrap();
    assert_eq!(cluster.node_of("{a}").unwrap(), 1);
    assert_eq!(sizes(&cluster), [":0", ":2", ":0"]);
    cluster.flush().unwrap();
    assert_eq!(sizes(&cluster), [":0", ":0", ":0"]);
}
