//! The queue that is measured.

use anyhow::Context;
use bulkhead_broker::{Broker, BrokerOptions};
use bulkhead_domain::Class;

/// Which Redis.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct RedisArgs {
    /// `redis://…` or `redis+unix:///path`.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: String,
    /// Shards of the class; every process must agree.
    #[arg(long, default_value_t = 4)]
    pub(crate) shards: u16,
}

/// The class whose jobs are measured.
pub(crate) const CLASS: Class = Class::Sync;

pub(crate) fn options(url: &str, shards: u16) -> BrokerOptions {
    BrokerOptions {
        shards,
        high_water_bytes: 1 << 40,
        tenant_high_water_bytes: 1 << 40,
        ..BrokerOptions::new(url.to_owned().into())
    }
}

pub(crate) async fn connect(args: &RedisArgs) -> anyhow::Result<Broker> {
    let options = options(&args.redis_url, args.shards);
    Broker::connect(&options, CLASS)
        .await
        .context("cannot use Redis")
}

/// Says what goes on, beside the results.
#[expect(clippy::print_stderr, reason = "a command line's messages")]
pub(crate) fn say(message: &str) {
    eprintln!("{message}");
}

/// Prints a result.
#[expect(clippy::print_stdout, reason = "a command line's results")]
pub(crate) fn answer(line: &str) {
    println!("{line}");
}
