//! Each process has its own login in Redis; whoever has taken over a class has no more than that.

use anyhow::{Context, Result, ensure};
use redis::aio::MultiplexedConnection;

use crate::support::{TestNight, eventually, quick};

async fn connect(url: &str) -> Result<MultiplexedConnection> {
    let client = redis::Client::open(url)?;
    Ok(client.get_multiplexed_async_connection().await?)
}

/// Fails unless Redis refuses it.
async fn refused(attacker: &mut MultiplexedConnection, words: &[&str]) -> Result<()> {
    let mut command = redis::cmd(words.first().context("a command")?);
    for word in &words[1..] {
        command.arg(*word);
    }
    let answer = command.query_async::<redis::Value>(attacker).await;
    let Err(error) = answer else {
        anyhow::bail!("{words:?} was answered: {answer:?}");
    };
    let error = error.to_string();
    // To whom, or to every script.
    let refusals = [
        "permissions",
        "The user executing the script can't",
        "not allowed from script",
    ];
    ensure!(
        refusals.iter().any(|refusal| error.contains(refusal)),
        "{words:?}: {error}"
    );
    Ok(())
}

#[tokio::test]
async fn the_sync_workers_login_reaches_no_other_class_and_does_not_run_the_server() -> Result<()> {
    let night = TestNight::onboarded(quick(2, 100)).await?;
    let _scheduler = night.start("scheduler", "scheduler").await?;
    night.enqueue_all().await?;
    let redis = &night.fleet.redis;
    // Both classes have jobs: there is something to steal.
    let jobs = async |class: &str| {
        let mut jobs = 0;
        for shard in 0..4 {
            let answer = redis.command(&format!("HLEN {{{class}.{shard}}}:jobs"))?;
            jobs += answer.trim_start_matches(':').parse::<u64>()?;
        }
        Ok::<_, anyhow::Error>(jobs)
    };
    eventually(async || Ok(jobs("sync").await? == 2 && jobs("token").await? == 2)).await?;

    let mut attacker = connect(&night.fleet.redis_url("sync")).await?;
    for command in [
        vec!["HGETALL", "{token.0}:jobs"],
        vec!["HGETALL", "{token.1}:jobs"],
        vec!["DEL", "{token.0}:jobs"],
        vec!["DEL", "{purge.0}:jobs"],
        vec!["SET", "{token.0}:boot", "mine"],
        vec!["COPY", "{token.0}:jobs", "{sync.0}:stolen"],
        vec!["RENAME", "{token.0}:jobs", "{sync.0}:stolen"],
        vec!["PUBLISH", "{token.0}:wake", ""],
        vec!["SUBSCRIBE", "{token.0}:wake"],
        vec!["FLUSHALL"],
        vec!["FLUSHDB"],
        vec!["CONFIG", "GET", "*"],
        vec!["CONFIG", "SET", "maxmemory", "1"],
        vec!["KEYS", "*"],
        vec!["SCRIPT", "KILL"],
        vec!["SCRIPT", "FLUSH"],
        vec!["FUNCTION", "FLUSH"],
        vec!["SHUTDOWN"],
        vec!["ACL", "LIST"],
        vec!["ACL", "SETUSER", "bulkhead-sync", "allkeys"],
        vec!["CLIENT", "LIST"],
        vec!["MONITOR"],
        vec!["REPLICAOF", "127.0.0.1", "1"],
        vec!["MODULE", "LIST"],
    ] {
        refused(&mut attacker, &command).await?;
    }
    for script in [
        "return redis.call('HGETALL', '{token.0}:jobs')",
        "return redis.call('DEL', '{token.0}:jobs')",
        "return redis.call('PUBLISH', '{token.0}:wake', '')",
        "return redis.call('FLUSHALL')",
        "return redis.call('CONFIG', 'GET', '*')",
        "return redis.call('KEYS', '*')",
    ] {
        // Declared or not, with a key of its own or none.
        refused(&mut attacker, &["EVAL", script, "0"]).await?;
        refused(&mut attacker, &["EVAL", script, "1", "{sync.0}:jobs"]).await?;
    }
    ensure!(
        jobs("sync").await? == 2 && jobs("token").await? == 2,
        "jobs are missing"
    );
    Ok(())
}

#[tokio::test]
async fn nobody_reaches_redis_without_a_login() -> Result<()> {
    let night = TestNight::onboarded(quick(1, 0)).await?;
    let url = night.fleet.redis.url_without_login();
    let mut nobody = connect(&url).await?;
    let answer = redis::cmd("PING").query_async::<String>(&mut nobody).await;
    let error = answer.err().context("PING was answered")?.to_string();
    ensure!(
        error.contains("NOAUTH") || error.contains("Authentication required"),
        "{error}"
    );
    let other = night.fleet.logins.of("token").password();
    let stolen = format!("{url}?user=bulkhead-token&pass={other}x");
    ensure!(
        connect(&stolen).await.is_err(),
        "a wrong password was let in"
    );
    Ok(())
}
