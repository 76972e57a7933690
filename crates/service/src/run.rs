//! From `main` to the exit code.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, or drained |
//! | 1 | failed |
//! | 2 | the command line or the configuration was refused |
//! | 3 | a dependency could not be reached at the start |
//! | 4 | the keyring was refused |
//! | 130 | a second SIGTERM or SIGINT |

use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, trace};

use crate::args::Args;
use crate::config::{Config, ConfigError};
use crate::health::HealthHandle;
use crate::process::Process;
use crate::shell::Shell;
use crate::start_error::{StartError, line};
use crate::{core_dump, crash_point, drain, health, metrics, panic, telemetry, tls};

/// No flags but those of every process.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct NoArgs {}

/// Runs a process that has no flags of its own. See [`run_with`].
pub fn run<F, Fut>(process: Process, main: F) -> ExitCode
where
    F: FnOnce(Shell) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    run_with(process, |shell, _: NoArgs| main(shell))
}

/// Runs a process: reads flags and configuration, sets up logs, traces, metrics, health and drain, and
/// then `main`, which should return when `shell.drain` is cancelled.
///
/// An error from `main` ends the process with the exit code of the [`StartError`] or [`ConfigError`] in
/// its chain, otherwise with 1; it is one line on standard error.
pub fn run_with<A, F, Fut>(process: Process, main: F) -> ExitCode
where
    A: clap::Args,
    F: FnOnce(Shell, A) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let (args, own) = match parse::<A>(&process, std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(refused) => return answer(&refused),
    };
    if args.example_config {
        return print(Config::example());
    }
    let config = match Config::load(&args.sources(), process.needs) {
        Ok(config) => config,
        Err(error) => return fail(&error.into()),
    };
    if args.check_config {
        return print("configuration: ok\n");
    }
    match start(process, config, |shell| main(shell, own)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// The command line of a process: `A` and the flags of every process.
#[must_use]
pub fn command<A: clap::Args>(process: &Process) -> clap::Command {
    let command = clap::Command::new(process.name).version(env!("CARGO_PKG_VERSION"));
    // The two bring descriptions of their own, which are about flags.
    let about = (!process.about.is_empty()).then_some(process.about);
    <Args as clap::Args>::augment_args(A::augment_args(command))
        .about(about)
        .long_about(None)
}

/// Prints why the process ends, one line per problem, and returns its exit code.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    // What cannot be printed cannot be helped.
    let _ = std::io::stderr().write_all(report(error).as_bytes());
    ExitCode::from(exit_code(error))
}

fn parse<A: clap::Args>(
    process: &Process,
    line: impl IntoIterator<Item = OsString>,
) -> Result<(Args, A), clap::Error> {
    let line: Vec<_> = line.into_iter().collect();
    let mut command = command::<A>(process);
    let matches = command.try_get_matches_from_mut(&line)?;
    let args = <Args as clap::FromArgMatches>::from_arg_matches(&matches)?;
    // clap keeps only one side's values of a global flag.
    if args.set.len() < line.iter().filter(|word| is_set(word)).count() {
        let message = "give every --set on the same side of the subcommand";
        return Err(command.error(clap::error::ErrorKind::ArgumentConflict, message));
    }
    Ok((args, A::from_arg_matches(&matches)?))
}

fn is_set(word: &OsStr) -> bool {
    word.to_str()
        .is_some_and(|word| word == "--set" || word.starts_with("--set="))
}

fn start<F, Fut>(process: Process, config: Config, main: F) -> anyhow::Result<()>
where
    F: FnOnce(Shell) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    tls::install_ring();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // Before telemetry, which has a metric of its own.
    let recorder = process
        .stays_up
        .then(|| metrics::install(&process))
        .transpose()?;
    let telemetry = {
        let _entered = runtime.enter();
        telemetry::init(&process, &config.telemetry)?
    };
    core_dump::forbid();
    panic::log_panics();
    crash_point::arm(&config.testing);
    let done = runtime.block_on(async { main(shell(process, config, recorder).await?).await });
    crash_point::warn_unreached();
    info!(failed = done.is_err(), "stopped");
    // On this thread, while the runtime still drives the export.
    telemetry.flush();
    runtime.shutdown_background();
    done
}

async fn shell(
    process: Process,
    config: Config,
    recorder: Option<PrometheusHandle>,
) -> anyhow::Result<Shell> {
    let drain = CancellationToken::new();
    drain::listen(drain.clone())?;
    let health = match recorder {
        Some(recorder) => serve_health(&process, &config, &drain, recorder).await?,
        None => HealthHandle::new(drain.clone(), None),
    };
    Ok(Shell {
        process,
        config: Arc::new(config),
        drain,
        health,
    })
}

async fn serve_health(
    process: &Process,
    config: &Config,
    drain: &CancellationToken,
    recorder: PrometheusHandle,
) -> anyhow::Result<HealthHandle> {
    let (listener, address) = health::bind(&config.health).await?;
    let handle = HealthHandle::new(drain.clone(), Some(address));
    tokio::spawn(metrics::upkeep(recorder.clone()));
    let served = handle.clone();
    tokio::spawn(async move {
        if let Err(error) = health::serve(listener, served, recorder).await {
            error!(error = %error, "health is no longer served");
        }
    });
    info!(process = process.name, version = env!("CARGO_PKG_VERSION"), health.address = %address, "started");
    // Seen or not, it tells whether the finest level is on; nothing else is sure to happen at it.
    trace!("logging at the finest level");
    Ok(handle)
}

/// `--help` and `--version` are answers too.
fn answer(refused: &clap::Error) -> ExitCode {
    let printed = refused.print().is_ok();
    match refused.exit_code() {
        0 if printed => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn report(error: &anyhow::Error) -> String {
    let problems = match configuration(error) {
        Some(config) => config.problems.iter().map(line).collect(),
        None => vec![line(&format!("{error:#}"))],
    };
    problems
        .iter()
        .map(|problem| format!("error: {problem}\n"))
        .collect()
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let start = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<StartError>());
    match (start, configuration(error)) {
        (Some(start), _) => start.exit_code(),
        (None, Some(_)) => 2,
        (None, None) => 1,
    }
}

fn configuration(error: &anyhow::Error) -> Option<&ConfigError> {
    error.chain().find_map(|cause| {
        let start = cause
            .downcast_ref::<StartError>()
            .and_then(|start| match start {
                StartError::Configuration(config) => Some(config),
                _ => None,
            });
        start.or_else(|| cause.downcast_ref::<ConfigError>())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Args)]
    struct Own {
        #[command(subcommand)]
        action: Action,
    }

    #[derive(Debug, clap::Subcommand, PartialEq)]
    enum Action {
        Run,
        Tick,
    }

    fn parsed(line: &str) -> Result<(Args, Own), clap::Error> {
        parse(
            &Process::new("bulkhead-scheduler"),
            line.split(' ').map(OsString::from),
        )
    }

    #[test]
    fn the_common_flags_may_stand_on_either_side_of_a_subcommand() {
        for line in [
            "scheduler --config a.toml --set a=1 --set=b=2 tick",
            "scheduler tick --config a.toml --set a=1 --set=b=2",
        ] {
            let (args, own) = parsed(line).unwrap();
            assert_eq!(args.config, Some("a.toml".into()));
            assert_eq!(args.set, ["a=1", "b=2"]);
            assert_eq!(own.action, Action::Tick);
        }
    }

    #[test]
    fn no_setting_on_the_command_line_is_lost_in_silence() {
        let refused = parsed("scheduler --set a=1 run --set b=2").unwrap_err();
        assert!(
            refused.to_string().contains("same side of the subcommand"),
            "{refused}"
        );
        assert_eq!(refused.exit_code(), 2);
    }

    #[test]
    fn a_start_error_decides_the_exit_code_however_deep_it_lies() {
        let missing = Config::load(
            &crate::config::Sources::default(),
            &[crate::config::Need::Redis],
        )
        .unwrap_err();
        let cases = [
            (anyhow::anyhow!("failed"), 1),
            (anyhow::Error::from(missing.clone()), 2),
            (
                anyhow::Error::from(StartError::from(missing)).context("at the start"),
                2,
            ),
            (
                anyhow::Error::from(StartError::dependency("Redis", "redis://h", "refused"))
                    .context("broker"),
                3,
            ),
            (anyhow::Error::from(StartError::keyring("0644")), 4),
        ];
        for (error, code) in cases {
            assert_eq!(exit_code(&error), code, "{error:#}");
            assert_eq!(report(&error).lines().count(), 1, "{error:#}");
        }
    }
}
