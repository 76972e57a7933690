use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use bulkhead_devstack::{PostgresOptions, PostgresServer, RedisOptions, RedisServer, StackState};

use crate::terminal::Interruptions;

/// Start a private Redis and Postgres and keep them up until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Listen on free TCP ports of 127.0.0.1 as well as on Unix sockets.
    #[arg(long)]
    tcp: bool,
    /// Keep data and logs in this folder.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Flush to disk as in production.
    #[arg(long)]
    durable: bool,
    /// Print addresses and process ids as one JSON line when ready.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut interruptions = Interruptions::listen()?;
    let folder = |name: &str| args.dir.as_ref().map(|dir| dir.join(name));
    let (redis, postgres) = tokio::try_join!(
        RedisServer::start(RedisOptions {
            dir: folder("redis"),
            tcp: args.tcp,
            ..Default::default()
        }),
        PostgresServer::start(PostgresOptions {
            dir: folder("postgres"),
            tcp: args.tcp,
            durable: args.durable,
            ..Default::default()
        }),
    )?;
    let state = state(&redis, &postgres, args.dir);
    state.write()?;
    report(&state, args.json)?;
    interruptions.next().await;
    state.remove();
    Ok(ExitCode::SUCCESS)
}

fn state(redis: &RedisServer, postgres: &PostgresServer, folder: Option<PathBuf>) -> StackState {
    let tcp = [
        ("redis_tcp", redis.tcp_url()),
        ("postgres_tcp", postgres.tcp_url("postgres", "postgres")),
    ];
    StackState {
        postgres_url: postgres.admin_url("postgres"),
        redis_url: redis.url(),
        processes: BTreeMap::from([
            ("devstack".to_owned(), std::process::id()),
            ("redis".to_owned(), redis.pid()),
            ("postgres".to_owned(), postgres.pid()),
        ]),
        urls: tcp
            .into_iter()
            .filter_map(|(name, url)| Some((name.to_owned(), url?)))
            .collect(),
        folder,
    }
}

fn report(state: &StackState, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(state)?);
        return Ok(());
    }
    println!("Postgres  {}", state.postgres_url);
    println!("Redis     {}", state.redis_url);
    for (name, url) in &state.urls {
        println!("          {url}  ({name})");
    }
    println!("Shells: bulkhead-devstack psql, bulkhead-devstack redis. Ctrl-C ends it all.");
    Ok(())
}
