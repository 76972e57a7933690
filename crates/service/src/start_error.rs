//! Why a process did not start, and with which exit code.

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use crate::config::ConfigError;

/// How long a dependency may take to answer at the start. Nothing waits for one: whoever starts
/// processes is told at once, and decides.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process that could not start. Displays as one line per problem.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Exit code 2: correct the configuration or the command line.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// Exit code 2: something outside the configuration's text is not as it must be, such as the role of a login.
    #[error("{message}")]
    Refused {
        /// What is wrong, and what to do.
        message: String,
    },
    /// Exit code 3: start the dependency, or correct its address.
    #[error("{dependency} cannot be reached at {address}")]
    Dependency {
        /// As in "Redis".
        dependency: &'static str,
        /// Without a password.
        address: String,
        /// What the client said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Exit code 4: the keyring was refused.
    #[error("keyring refused")]
    Keyring(#[source] Box<dyn Error + Send + Sync>),
}

impl StartError {
    /// A refusal with exit code 2.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> StartError {
        StartError::Refused {
            message: message.into(),
        }
    }

    /// A dependency that cannot be reached, exit code 3; a password in `address` is left out.
    #[must_use]
    pub fn dependency(
        dependency: &'static str,
        address: &str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> StartError {
        StartError::Dependency {
            dependency,
            address: without_credentials(address),
            source: source.into(),
        }
    }

    /// A keyring that was refused, exit code 4.
    #[must_use]
    pub fn keyring(source: impl Into<Box<dyn Error + Send + Sync>>) -> StartError {
        StartError::Keyring(source.into())
    }

    /// 2 usage or configuration, 3 dependency, 4 keyring.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            StartError::Configuration(_) | StartError::Refused { .. } => 2,
            StartError::Dependency { .. } => 3,
            StartError::Keyring(_) => 4,
        }
    }
}

/// Connects to a dependency at the start, within five seconds.
///
/// # Errors
/// [`StartError::Dependency`]: it refused, failed, or did not answer in time.
pub async fn reach<T, E>(
    dependency: &'static str,
    address: &str,
    connect: impl Future<Output = Result<T, E>>,
) -> Result<T, StartError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    match tokio::time::timeout(PATIENCE, connect).await {
        Ok(connected) => {
            connected.map_err(|error| StartError::dependency(dependency, address, error))
        }
        Err(_) => Err(StartError::dependency(dependency, address, NoAnswer)),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", PATIENCE.as_secs())]
struct NoAnswer;

/// One line: what failed, and because of what; secrets taken out.
pub(crate) fn line(error: &(impl Display + ?Sized)) -> String {
    let line = error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    crate::redaction::redact(&line).into_owned()
}

fn without_credentials(address: &str) -> String {
    let Ok(mut url) = url::Url::parse(address) else {
        return line(address);
    };
    // Parts that a URL cannot have cannot hold a password either.
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dependency_that_does_not_answer_is_given_up_after_five_seconds() {
        let start = tokio::time::Instant::now();
        let never = std::future::pending::<Result<(), std::io::Error>>();
        let error = reach("Redis", "redis://user:hunter2@127.0.0.1:1", never)
            .await
            .unwrap_err();
        assert_eq!(start.elapsed(), PATIENCE);
        assert_eq!(error.exit_code(), 3);
        let shown = line(&format!("{:#}", anyhow::Error::from(error)));
        assert_eq!(
            shown,
            "Redis cannot be reached at redis://user@127.0.0.1:1: no answer within 5 s"
        );
    }

    #[test]
    fn each_reason_has_its_exit_code() {
        assert_eq!(StartError::refused("role is a superuser").exit_code(), 2);
        assert_eq!(StartError::keyring("permissions 0644").exit_code(), 4);
    }
}
