//! The three sources of a setting, flattened to `section.key`: file, environment, flags; later wins.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Problem, Source};

/// Where to look for settings. Injected whole, so that tests touch no process state.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file; it must exist if it is named.
    pub file: Option<PathBuf>,
    /// Environment variables; only `BULKHEAD_…` are looked at.
    pub environment: Vec<(String, String)>,
    /// `section.key=value`, from `--set`.
    pub set: Vec<String>,
}

/// A value as it was written.
#[derive(Clone, PartialEq)]
pub(super) enum Raw {
    Integer(String),
    Float(String),
    Text(String),
    List(Vec<Raw>),
    /// From the environment or a flag, where every value is text.
    Argument(String),
    /// A TOML kind that no setting has.
    Other(&'static str),
}

/// One value for one key.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) key: String,
    pub(super) source: Source,
    pub(super) value: Raw,
}

/// Everything found, and what could not even be read.
#[derive(Default)]
pub(super) struct Gathered {
    /// In order of precedence: later wins.
    pub(super) found: Vec<Found>,
    /// Sections that the file opens, even if empty.
    pub(super) sections: Vec<(String, Source)>,
    pub(super) problems: Vec<Problem>,
    /// `BULKHEAD_…` variables without `__`: not settings, unless misspelt ones.
    pub(super) other_variables: Vec<String>,
}

const PREFIX: &str = "BULKHEAD_";

/// The environment variable that sets `key`: `postgres.url` → `BULKHEAD_POSTGRES__URL`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

impl Gathered {
    pub(super) fn from(sources: &Sources) -> Gathered {
        let mut gathered = Gathered::default();
        if let Some(path) = &sources.file {
            gathered.read_file(path);
        }
        gathered.read_environment(&sources.environment);
        gathered.read_flags(&sources.set);
        gathered
    }

    /// Whether the file, if there is one, gave its settings.
    pub(super) fn is_file_read(&self) -> bool {
        let mut problems = self.problems.iter();
        !problems.any(|problem| matches!(problem.source, Source::File { .. }))
    }

    fn read_file(&mut self, path: &Path) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let message =
                    format!("cannot be read: {error}; correct --config or BULKHEAD_CONFIG");
                return self.unreadable(path, None, &message);
            }
        };
        match DeTable::parse(&text) {
            Ok(table) => self.read_table(&File { path, text: &text }, "", table.get_ref()),
            // The message alone: the rendered error would show the line, which may hold a secret.
            Err(error) => {
                let line = error.span().map(|span| line_of(&text, span.start));
                self.unreadable(
                    path,
                    line,
                    &format!("not valid TOML: {}", one_line(error.message())),
                );
            }
        }
    }

    fn unreadable(&mut self, path: &Path, line: Option<usize>, message: &str) {
        let source = Source::File {
            path: path.to_owned(),
            line,
        };
        self.problems
            .extend(ConfigError::one(source, message).problems);
    }

    fn read_table(&mut self, file: &File<'_>, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = match prefix {
                "" => name.get_ref().to_string(),
                _ => format!("{prefix}.{}", name.get_ref()),
            };
            let source = file.at(name.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => {
                    self.sections.push((key.clone(), source));
                    self.read_table(file, &key, inner);
                }
                value => self.found.push(Found {
                    key,
                    source,
                    value: Raw::from_toml(value),
                }),
            }
        }
    }

    fn read_environment(&mut self, environment: &[(String, String)]) {
        for (name, value) in environment {
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if !rest.contains("__") {
                self.other_variables.push(name.clone());
                continue;
            }
            self.found.push(Found {
                key: rest.replace("__", ".").to_lowercase(),
                source: Source::Environment(name.clone()),
                value: Raw::Argument(value.clone()),
            });
        }
    }

    fn read_flags(&mut self, set: &[String]) {
        for flag in set {
            match flag.split_once('=') {
                Some((key, value)) => self.found.push(Found {
                    key: key.trim().to_owned(),
                    source: Source::Flag,
                    value: Raw::Argument(value.to_owned()),
                }),
                // Not repeated in full: what was meant may have been a secret.
                None => self.problems.push(Problem {
                    source: Source::Flag,
                    message: "wants section.key=value, as in --set worker.concurrency=16"
                        .to_owned(),
                }),
            }
        }
    }
}

impl Raw {
    fn from_toml(value: &DeValue<'_>) -> Raw {
        match value {
            DeValue::Integer(integer) if integer.radix() == 10 => {
                Raw::Integer(integer.as_str().replace('_', ""))
            }
            DeValue::Float(float) => Raw::Float(float.as_str().replace('_', "")),
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Array(items) => Raw::List(
                items
                    .iter()
                    .map(|item: &Spanned<DeValue<'_>>| Raw::from_toml(item.get_ref()))
                    .collect(),
            ),
            other => Raw::Other(other.type_str()),
        }
    }

    /// The value for an error line; the caller decides whether it may be shown at all.
    pub(super) fn shown(&self) -> String {
        match self {
            Raw::Integer(text) | Raw::Float(text) => text.clone(),
            Raw::Text(text) | Raw::Argument(text) => format!("{:?}", one_line(text)),
            Raw::List(_) => "a list".to_owned(),
            Raw::Other(kind) => format!("a {kind}"),
        }
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn at(&self, offset: usize) -> Source {
        Source::File {
            path: self.path.to_owned(),
            line: Some(line_of(self.text, offset)),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
