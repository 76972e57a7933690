//! The smallest process: reaches one dependency, is ready, and drains until its standard input closes.
//!
//! It is also what this crate's tests run, so it passes three crash points and logs what it must not.

use std::io::Write;
use std::process::ExitCode;

use bulkhead_service::{Need, Process, Shell, StartError, crash_point, reach};
use secrecy::ExposeSecret;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const PROCESS: Process = Process::new("bulkhead-example")
    .about("The smallest process")
    .needs(&[Need::Redis]);

/// Flags of this process alone.
#[derive(Debug, clap::Args)]
struct Flags {
    /// Fails in the end, in this way
    #[arg(long, value_parser = ["keyring", "other", "panic"])]
    fail: Option<String>,
}

fn main() -> ExitCode {
    bulkhead_service::run_with(PROCESS, async |shell: Shell, flags: Flags| {
        let url = shell.config.redis.url()?.expose_secret();
        reach("Redis", url, connect(url)).await?;
        tracing::info!(
            token = "Atza|CANARY",
            "reached redis://user:CANARY@localhost"
        );
        for _ in 0..3 {
            tracing::info_span!("step").in_scope(|| crash_point::reach("example.step"));
            say("step")?;
        }
        shell.health.ready(true);
        say("ready")?;
        shell.drain.cancelled().await;
        say("draining")?;
        // What runs is finished: here, when whoever started this says so.
        tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
        match flags.fail.as_deref() {
            Some("keyring") => Err(StartError::keyring("permissions 0644: must be 0600").into()),
            Some("panic") => panic!("a panic with Atzr|CANARY"),
            Some(_) => Err(anyhow::anyhow!("the work failed on Atza|CANARY")),
            None => Ok(()),
        }
    })
}

async fn connect(url: &str) -> std::io::Result<TcpStream> {
    let (_, address) = url.rsplit_once(['/', '@']).unwrap_or(("", url));
    TcpStream::connect(address).await
}

fn say(word: &str) -> Result<(), std::io::Error> {
    writeln!(std::io::stdout(), "{word}")
}
