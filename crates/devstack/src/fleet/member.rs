//! One process of the fleet.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{Fleet, amazon::client};
use crate::{ChildOptions, ChildProcess};

/// How long a process may take until it is ready.
const READY: Duration = Duration::from_secs(20);

/// Between two looks whether it is.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What is special about one process.
#[derive(Debug, Clone, Default)]
pub struct MemberOptions {
    /// Further settings, `section.key` → value.
    pub settings: BTreeMap<String, String>,
    /// Settings that it is not given, `section.key`.
    pub missing: Vec<String>,
    /// Another file than the fleet's.
    pub configuration: Option<PathBuf>,
}

impl MemberOptions {
    /// With one more setting.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Without a setting that the environment would give it.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.missing.push(key.to_owned());
        self
    }

    /// With this file as its configuration.
    #[must_use]
    pub fn configured_by(mut self, path: &Path) -> Self {
        self.configuration = Some(path.to_owned());
        self
    }
}

/// One process of the fleet, running.
#[derive(Debug)]
pub struct Member {
    /// The process, to be killed or stopped.
    pub process: ChildProcess,
    port_file: PathBuf,
}

impl Fleet {
    /// Starts `bulkhead-<class>` under a name of its own and waits until it is ready.
    ///
    /// # Errors
    /// If it ends or does not become ready; the message holds the end of its log.
    pub async fn start_member(
        &self,
        class: &str,
        name: &str,
        options: &MemberOptions,
    ) -> Result<Member> {
        let member = self.spawn_member(class, name, options)?;
        member.ready().await?;
        Ok(member)
    }

    /// Starts `bulkhead-<class>` without waiting.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn_member(&self, class: &str, name: &str, options: &MemberOptions) -> Result<Member> {
        let port_file = self.port_file(name);
        let _absent = fs::remove_file(&port_file);
        let mut command = self.member_command(class, name, options)?;
        if class == "scheduler" {
            command.arg("run");
        }
        let child = ChildOptions::new(name, command).log_to(self.log(name));
        Ok(Member {
            process: ChildProcess::spawn(child)?,
            port_file,
        })
    }

    /// `bulkhead-<class>` as [`Fleet::spawn_member`] would run it, without a subcommand.
    ///
    /// # Errors
    /// If it is not built.
    pub fn member_command(
        &self,
        class: &str,
        name: &str,
        options: &MemberOptions,
    ) -> Result<Command> {
        let configuration = options.configuration.clone();
        let mut command = Command::new(program(&format!("bulkhead-{class}"))?);
        command
            .arg("--config")
            .arg(configuration.unwrap_or_else(|| self.configuration()))
            .env(
                "BULKHEAD_POSTGRES__URL",
                self.role_url(&format!("bulkhead_{class}")),
            )
            .env("BULKHEAD_REDIS__URL", self.redis_url(class))
            .env("BULKHEAD_HEALTH__PORT_FILE", self.port_file(name));
        if class != "scheduler" {
            command.env("BULKHEAD_VAULT__KEYRING", self.keyring(class));
        }
        for (key, value) in &options.settings {
            command.env(variable(key), value);
        }
        for key in &options.missing {
            command.env_remove(variable(key));
        }
        Ok(command)
    }

    fn port_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.port"))
    }
}

impl Member {
    /// Waits until the process says that it is ready.
    ///
    /// # Errors
    /// If it ends instead, or takes too long.
    pub async fn ready(&self) -> Result<()> {
        let looking = async {
            while !self.answers("readyz").await {
                if let Some(status) = self.process.status() {
                    bail!(
                        "{} ended ({status}): {}",
                        self.process.name(),
                        self.process.log_tail()
                    );
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok(())
        };
        let Ok(outcome) = tokio::time::timeout(READY, looking).await else {
            bail!(
                "{} is not ready: {}",
                self.process.name(),
                self.process.log_tail()
            );
        };
        outcome
    }

    async fn answers(&self, path: &str) -> bool {
        let Ok(url) = self.url(path) else {
            return false;
        };
        let Ok(client) = client() else {
            return false;
        };
        client
            .get(url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    }

    /// What it counts.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        let answer = client()?
            .get(self.url("metrics")?)
            .send()
            .await?
            .error_for_status()?;
        Ok(Metrics(answer.text().await?))
    }

    fn url(&self, path: &str) -> Result<String> {
        let address = fs::read_to_string(&self.port_file)
            .with_context(|| format!("read {}", self.port_file.display()))?;
        Ok(format!("http://{}/{path}", address.trim()))
    }
}

/// A page of metrics in the text format of Prometheus.
#[derive(Debug, Clone)]
pub struct Metrics(String);

impl Metrics {
    /// The sum over all labels of a counter; 0 if it was never counted.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.0
            .lines()
            .filter(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

/// `broker.visibility_timeout_ms` → `BULKHEAD_BROKER__VISIBILITY_TIMEOUT_MS`.
fn variable(key: &str) -> String {
    format!("BULKHEAD_{}", key.replace('.', "__").to_uppercase())
}

/// The fleet's programs lie beside this one; a test's lies one folder deeper.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder: &Path| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: run `cargo build --workspace --bins`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_summed_over_its_labels_and_not_with_another_of_a_longer_name() {
        let page = "# TYPE jobs counter\njobs{kind=\"a b\"} 3\njobs{kind=\"c\"} 4\njobs_total 9\n";
        let metrics = Metrics(page.to_owned());
        assert!((metrics.sum("jobs") - 7.0).abs() < f64::EPSILON);
        assert!(metrics.sum("absent").abs() < f64::EPSILON);
    }

    #[test]
    fn a_setting_becomes_the_variable_that_the_fleet_reads() {
        assert_eq!(variable("testing.crash_at"), "BULKHEAD_TESTING__CRASH_AT");
    }
}
