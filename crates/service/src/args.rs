//! The flags that every process has.

use std::path::PathBuf;

use crate::config::Sources;

/// Flags of every process. `--help` and `--version` come with the command.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct Args {
    /// The TOML file with the settings of the whole fleet
    #[arg(long, value_name = "PATH", env = "BULKHEAD_CONFIG", global = true)]
    pub config: Option<PathBuf>,

    /// One setting, over the file and the environment, as in worker.concurrency=16; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", global = true)]
    pub set: Vec<String>,

    /// Check the whole configuration, report every problem, and exit
    #[arg(long, global = true)]
    pub check_config: bool,

    /// Print a documented configuration file with every setting, and exit
    #[arg(long, global = true)]
    pub example_config: bool,
}

impl Args {
    /// These flags, over the environment of this process.
    #[must_use]
    pub fn sources(&self) -> Sources {
        // Variables that are not UTF-8 cannot be settings.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Sources {
            file: self.config.clone(),
            environment: environment.collect(),
            set: self.set.clone(),
        }
    }
}
