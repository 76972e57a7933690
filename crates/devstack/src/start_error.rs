use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a server or process of the dev stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Install the package.
    #[error("{program} not found: install it (Debian: apt-get install {package})")]
    MissingProgram {
        /// The program looked for.
        program: &'static str,
        /// The Debian package that holds it.
        package: &'static str,
    },
    /// Root cannot run Postgres and there is nobody to run it as.
    #[error(
        "Postgres does not run as root, and there is no account `postgres` or `nobody` to run it as"
    )]
    NoAccount,
    /// The address of a server to use cannot be read.
    #[error("{variable} is not the URL of a Postgres server")]
    InvalidUrl {
        /// The environment variable.
        variable: &'static str,
        /// The cause.
        #[source]
        source: url::ParseError,
    },
    /// A folder, file or port could not be prepared.
    #[error("prepare {what}")]
    Prepare {
        /// What was being prepared.
        what: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The operating system refused to start it.
    #[error("start {name}")]
    Spawn {
        /// The process.
        name: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It started and ended before it was ready.
    #[error("{name} ended at start ({status}); end of {}:\n{log_tail}", log.display())]
    Ended {
        /// The process.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        log_tail: String,
    },
    /// It runs and does not answer.
    #[error("{name} was not ready within {within:?}; end of {}:\n{log_tail}", log.display())]
    NotReady {
        /// The process.
        name: String,
        /// How long it was waited for.
        within: Duration,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        log_tail: String,
    },
}

impl StartError {
    /// For `map_err`: an I/O error while preparing `what`.
    pub(crate) fn prepare(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Prepare {
            what: what.into(),
            source,
        }
    }
}

/// Runs blocking work in real time, off the runtime's threads; a paused clock does not advance
/// meanwhile.
pub(crate) async fn blocking<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    let failed = |source: tokio::task::JoinError| StartError::Spawn {
        name: name.into(),
        source: source.into(),
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}
