//! A private Redis, with what it says about itself.

use std::collections::HashMap;

use anyhow::Context;
use bulkhead_broker::{Broker, BrokerOptions};
use bulkhead_devstack::{RedisOptions, RedisServer};
use redis::{FromRedisValue, aio::MultiplexedConnection};

use crate::queue::{self, CLASS};

/// Shards of every measured queue.
pub(crate) const SHARDS: u16 = 4;

/// A private Redis without persistence; ends when it is dropped.
pub(crate) struct PrivateRedis {
    server: RedisServer,
    pub(crate) connection: MultiplexedConnection,
    pub(crate) options: BrokerOptions,
    pub(crate) broker: Broker,
}

impl PrivateRedis {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let server = RedisServer::start(RedisOptions::default()).await?;
        let options = queue::options(&server.url(), SHARDS);
        let broker = Broker::connect(&options, CLASS).await?;
        Ok(Self {
            connection: connect(&server.url()).await?,
            server,
            options,
            broker,
        })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// A connection of one's own.
    pub(crate) async fn another_connection(&self) -> anyhow::Result<MultiplexedConnection> {
        connect(&self.url()).await
    }

    pub(crate) async fn flush(&self) -> anyhow::Result<()> {
        self.ask::<()>(&redis::cmd("FLUSHALL")).await
    }

    /// Kills it and starts it with nothing in it.
    pub(crate) async fn restart_empty(&mut self) -> anyhow::Result<()> {
        self.server.restart_empty().await?;
        self.connection = connect(&self.url()).await?;
        Ok(())
    }

    /// Seconds of CPU that the thread which runs commands has used so far.
    pub(crate) async fn cpu_s(&self) -> anyhow::Result<f64> {
        let cpu = self.info("cpu").await?;
        Ok(number(&cpu, "used_cpu_user_main_thread")? + number(&cpu, "used_cpu_sys_main_thread")?)
    }

    pub(crate) async fn memory_bytes(&self) -> anyhow::Result<f64> {
        number(&self.info("memory").await?, "used_memory")
    }

    /// How many jobs live, counted by their bodies: cheap enough to be asked all the time.
    pub(crate) async fn living(&self) -> anyhow::Result<u64> {
        self.sum("HLEN", "jobs").await
    }

    /// How many jobs are in flight.
    pub(crate) async fn in_flight(&self) -> anyhow::Result<u64> {
        self.sum("ZCARD", "leases").await
    }

    /// Who holds each job in flight, as Redis has it.
    pub(crate) async fn holders(&self) -> anyhow::Result<HashMap<Vec<u8>, Vec<u8>>> {
        let mut holders = HashMap::new();
        for shard in 0..SHARDS {
            let mut command = redis::cmd("HGETALL");
            command.arg(format!("{{{CLASS}.{shard}}}:holders"));
            holders.extend(self.ask::<HashMap<_, _>>(&command).await?);
        }
        Ok(holders)
    }

    async fn sum(&self, command: &str, key: &str) -> anyhow::Result<u64> {
        let mut pipeline = redis::pipe();
        for shard in 0..SHARDS {
            pipeline
                .cmd(command)
                .arg(format!("{{{CLASS}.{shard}}}:{key}"));
        }
        let counts: Vec<u64> = pipeline.query_async(&mut self.connection.clone()).await?;
        Ok(counts.iter().sum())
    }

    async fn info(&self, section: &str) -> anyhow::Result<HashMap<String, String>> {
        let text: String = self.ask(redis::cmd("INFO").arg(section)).await?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> anyhow::Result<T> {
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }
}

async fn connect(url: &str) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(url)?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    connection
        .await
        .context("cannot connect to the private Redis")
}

fn number(info: &HashMap<String, String>, name: &str) -> anyhow::Result<f64> {
    let value = info
        .get(name)
        .with_context(|| format!("no {name} in INFO"))?;
    Ok(value.parse()?)
}
