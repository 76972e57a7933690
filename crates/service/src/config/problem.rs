//! What is wrong with a configuration, said in lines an operator can act on.

use std::fmt;
use std::path::PathBuf;

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A line of a TOML file, counted from 1.
    File {
        /// The path as it was given.
        path: PathBuf,
        /// The line, where it is known.
        line: Option<usize>,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A `--set section.key=value` flag.
    Flag,
    /// No source: the setting is missing, or two settings disagree.
    Whole,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Source::File { path, line: None } => write!(f, "{}", path.display()),
            Source::Environment(name) => write!(f, "{name}"),
            Source::Flag => write!(f, "--set"),
            Source::Whole => write!(f, "configuration"),
        }
    }
}

/// One thing to correct. Displays as one line that never shows a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where to correct it.
    pub source: Source,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.message)
    }
}

/// Every problem found, in the order in which the sources were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// A configuration refused for one reason.
    #[must_use]
    pub fn one(source: Source, message: impl Into<String>) -> ConfigError {
        ConfigError {
            problems: vec![Problem {
                source,
                message: message.into(),
            }],
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
