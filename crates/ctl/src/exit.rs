//! From an error to one line and the exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use bulkhead_broker::{EnqueueError, FenceError, InspectError};
use bulkhead_service::{ConfigError, StartError, redaction::redact, run};
use bulkhead_store::{AddError, StoreError};

use crate::{
    not_found::{self, NotFound},
    secret_input::SecretInputError,
    table::printable,
};

const FAILED: u8 = 1;
const REFUSED: u8 = 2;
/// As of [`StartError::Dependency`].
const UNREACHABLE: u8 = 3;

/// What `--help` says of exit codes.
pub const EXPLAINED: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line, the secret or the configuration was refused
  3  Postgres or Redis cannot be reached
  4  the keyring was refused
  5  nothing has this name or id";

/// Prints why the command failed, on standard error, and returns its exit code.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    if is_configuration(error) {
        return run::fail(error);
    }
    // What cannot be printed cannot be helped.
    let _ = writeln!(io::stderr(), "error: {}", line(error));
    ExitCode::from(code(error))
}

/// What failed, and because of what, without secrets and without saying the same twice.
#[must_use]
pub fn line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some errors repeat their cause in their own words.
        if line.contains(&cause) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&cause);
    }
    printable(&redact(&line))
}

/// The settings have a line for each problem.
fn is_configuration(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let start = cause.downcast_ref::<StartError>();
        cause.is::<ConfigError>() || matches!(start, Some(StartError::Configuration(_)))
    })
}

fn code(error: &anyhow::Error) -> u8 {
    let start = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<StartError>());
    if let Some(start) = start {
        return start.exit_code();
    }
    if error.chain().any(<dyn std::error::Error>::is::<NotFound>) {
        return not_found::EXIT_CODE;
    }
    if error
        .chain()
        .any(<dyn std::error::Error>::is::<SecretInputError>)
    {
        return REFUSED;
    }
    if error.chain().any(is_lost) {
        UNREACHABLE
    } else {
        FAILED
    }
}

/// A dependency went away after it had been reached.
fn is_lost(cause: &(dyn std::error::Error + 'static)) -> bool {
    let store = cause.downcast_ref::<StoreError>();
    let add = cause.downcast_ref::<AddError>();
    store.is_some_and(StoreError::is_outage)
        || matches!(add, Some(AddError::Store(store)) if store.is_outage())
        || matches!(cause.downcast_ref(), Some(EnqueueError::Redis(_)))
        || cause.is::<InspectError>()
        || cause.is::<FenceError>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn each_reason_has_its_exit_code() {
        let unknown = Err::<(), _>(NotFound::id("job", &7, "see `bulkhead jobs list`"));
        assert_eq!(code(&unknown.context("retry").unwrap_err()), 5);
        assert_eq!(code(&StartError::refused("no").into()), 2);
        assert_eq!(
            code(&StartError::dependency("Redis", "redis://x", "gone").into()),
            3
        );
        assert_eq!(code(&StartError::keyring("loose").into()), 4);
        assert_eq!(code(&anyhow!("anything else")), 1);
    }

    #[test]
    fn a_cause_that_was_said_is_not_repeated() {
        let error = anyhow!("no such file")
            .context("open x: no such file")
            .context("add");
        assert_eq!(line(&error), "add: open x: no such file");
    }

    #[test]
    fn a_secret_in_an_error_is_not_shown() {
        let error = anyhow!("sent Atzr|canary\nand failed");
        assert_eq!(line(&error), "sent [redacted] and failed");
    }
}
