//! Reads settings out of what the sources gave, and remembers every key it was asked for:
//! a key that is present and was never asked for is unknown.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::plaintext;
use super::problem::{ConfigError, Problem, Source};
use super::sources::{Found, Gathered, Raw, variable};
use super::suggestion;

pub(super) struct Reader {
    gathered: Gathered,
    known: Vec<&'static str>,
    plaintext_hosts: Vec<String>,
}

impl Reader {
    pub(super) fn new(gathered: Gathered) -> Reader {
        Reader {
            gathered,
            known: Vec::new(),
            plaintext_hosts: Vec::new(),
        }
    }

    /// Hosts that may be spoken to without TLS. Set before any URL is read.
    pub(super) fn allow_plaintext(&mut self, hosts: &[String]) {
        self.plaintext_hosts = hosts.to_vec();
    }

    /// The winning value and its source, parsed; a value that does not parse is a problem.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Raw) -> Result<T, String>,
    ) -> Option<T> {
        let found = self.winner(key)?;
        match parse(&found.value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(found.source, format!("{key} {message}"));
                None
            }
        }
    }

    pub(super) fn integer<T>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let (low, high) = (*range.start(), *range.end());
        let wanted = format!("must be a whole number from {low} to {high}");
        self.parsed(key, |raw| match raw {
            Raw::Integer(text) | Raw::Argument(text) => in_range(text, &range, &wanted, raw),
            _ => Err(not(&wanted, raw)),
        })
        .unwrap_or(default)
    }

    pub(super) fn float(
        &mut self,
        key: &'static str,
        default: f64,
        range: RangeInclusive<f64>,
    ) -> f64 {
        let wanted = format!("must be a number from {} to {}", range.start(), range.end());
        self.parsed(key, |raw| match raw {
            Raw::Integer(text) | Raw::Float(text) | Raw::Argument(text) => {
                in_range(text, &range, &wanted, raw)
            }
            _ => Err(not(&wanted, raw)),
        })
        .unwrap_or(default)
    }

    /// A setting whose name ends in `_ms`.
    pub(super) fn milliseconds(
        &mut self,
        key: &'static str,
        default_ms: u64,
        range_ms: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_millis(self.integer(key, default_ms, range_ms))
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, |raw| text_of(raw, "must be text that is not empty"))
    }

    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.parsed(key, |raw| text_of(raw, "must be a path"))
            .map(PathBuf::from)
    }

    /// Any type that reads itself from text; `wanted` completes "must be …".
    pub(super) fn value<T: FromStr>(&mut self, key: &'static str, wanted: &str) -> Option<T> {
        let wanted = format!("must be {wanted}");
        self.parsed(key, |raw| {
            text_of(raw, &wanted)?
                .parse()
                .map_err(|_| not(&wanted, raw))
        })
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let names: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect();
        let wanted = format!("must be {}", names.join(" or "));
        self.parsed(key, |raw| {
            let text = text_of(raw, &wanted)?;
            let chosen = choices.iter().find(|(name, _)| *name == text);
            chosen
                .map(|(_, value)| *value)
                .ok_or_else(|| not(&wanted, raw))
        })
    }

    /// A TOML array of strings; text separated by commas in the environment and flags.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<String> {
        let wanted = "must be a list of texts";
        self.parsed(key, |raw| match raw {
            Raw::List(items) => items.iter().map(|item| text_of(item, wanted)).collect(),
            Raw::Argument(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|s| !s.is_empty())
                .map(str::to_owned)
                .collect()),
            _ => Err(not(wanted, raw)),
        })
        .unwrap_or_default()
    }

    /// An `http` or `https` URL; `http` only to this machine or an allowed host.
    pub(super) fn http_url(&mut self, key: &'static str) -> Option<Url> {
        let hosts = self.plaintext_hosts.clone();
        self.parsed(key, |raw| {
            let text = text_of(raw, "must be a URL")?;
            plaintext::http(&text, &hosts)
        })
    }

    /// Whether others could read what is said to an address; the error completes a problem's sentence.
    pub(super) fn check_plaintext(
        &self,
        url: &str,
        check: fn(&str, &[String]) -> Result<(), String>,
    ) -> Result<(), String> {
        check(url, &self.plaintext_hosts)
    }

    /// A database URL, kept secret because it may hold a password; never shown in a problem.
    pub(super) fn secret_url(
        &mut self,
        key: &'static str,
        check: fn(&str, &[String]) -> Result<(), String>,
    ) -> Option<SecretString> {
        let hosts = self.plaintext_hosts.clone();
        if self.winner(key)?.source == Source::Flag && self.parsed(key, has_password) == Some(true)
        {
            let message = format!(
                "{key} holds a password, which every user of this machine could read off the command line; \
                 use the file or {}",
                variable(key)
            );
            self.problem(Source::Flag, message);
            return None;
        }
        self.parsed(key, |raw| {
            let text =
                text_of(raw, "must be a URL").map_err(|_| "must be a URL in quotes".to_owned())?;
            check(&text, &hosts).map(|()| SecretString::from(text))
        })
    }

    pub(super) fn problem(&mut self, source: Source, message: impl Into<String>) {
        self.gathered.problems.push(Problem {
            source,
            message: message.into(),
        });
    }

    /// The source that set `key`, for a problem between two settings.
    pub(super) fn source(&mut self, key: &'static str) -> Source {
        self.winner(key).map_or(Source::Whole, |found| found.source)
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// Refuses what nothing asked for, then every other problem.
    pub(super) fn finish(mut self) -> Result<(), ConfigError> {
        let unknown = self.unknown();
        let mut problems = self.gathered.problems.split_off(0);
        problems.extend(unknown);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError { problems })
        }
    }

    fn unknown(&self) -> Vec<Problem> {
        let found = self.gathered.found.iter();
        let keys = found
            .filter(|found| !self.known.contains(&found.key.as_str()))
            .map(|found| Problem {
                source: found.source.clone(),
                message: suggestion::unknown_key(&found.key, &self.known, &found.source),
            });
        let sections = self.gathered.sections.iter();
        // A misspelt section with keys is reported by its keys.
        let empty = sections
            .filter(|(name, _)| !suggestion::is_section(name, &self.known) && !self.has_keys(name))
            .map(|(name, source)| Problem {
                source: source.clone(),
                message: suggestion::unknown_section(name, &self.known),
            });
        let others = self.gathered.other_variables.iter();
        let misspelt = others
            .filter_map(|name| suggestion::misspelt_variable(name, &self.known))
            .map(|(name, message)| Problem {
                source: Source::Environment(name),
                message,
            });
        keys.chain(empty).chain(misspelt).collect()
    }

    fn has_keys(&self, section: &str) -> bool {
        let prefix = format!("{section}.");
        self.gathered
            .found
            .iter()
            .any(|found| found.key.starts_with(&prefix))
    }

    fn winner(&mut self, key: &'static str) -> Option<Found> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.gathered
            .found
            .iter()
            .rev()
            .find(|found| found.key == key)
            .cloned()
    }
}

fn has_password(raw: &Raw) -> Result<bool, String> {
    let text = text_of(raw, "must be a URL")?;
    Ok(Url::parse(&text).is_ok_and(|url| {
        url.password().is_some()
            || url
                .query_pairs()
                .any(|(name, _)| matches!(&*name, "password" | "pass"))
    }))
}

fn text_of(raw: &Raw, wanted: &str) -> Result<String, String> {
    match raw {
        Raw::Text(text) | Raw::Argument(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(not(wanted, raw)),
    }
}

fn in_range<T>(text: &str, range: &RangeInclusive<T>, wanted: &str, raw: &Raw) -> Result<T, String>
where
    T: FromStr + PartialOrd,
{
    let value = text.trim().parse().map_err(|_| not(wanted, raw))?;
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(not(wanted, raw))
    }
}

fn not(wanted: &str, raw: &Raw) -> String {
    format!("{wanted}, not {}", raw.shown())
}
