//! The parameters of a request, as Amazon reads them.

use axum::http::Uri;
use url::form_urlencoded;

use crate::{
    answer::Refusal,
    clock::{UnixMs, parse_iso},
};

/// The query string's parameters; lists come comma-separated or repeated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn of(uri: &Uri) -> Self {
        Self(pairs(uri.query().unwrap_or_default().as_bytes()))
    }

    /// The parameter's value, if it is given and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.all(name)
            .flat_map(|value| value.split(','))
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// A list of which every entry must be one of `allowed`.
    pub(crate) fn list_of(&self, name: &str, allowed: &[&str]) -> Result<Vec<String>, Refusal> {
        let list = self.list(name);
        match list.iter().find(|value| !allowed.contains(&value.as_str())) {
            Some(_) => Err(Refusal::invalid_input(format!(
                "Invalid {name}. Allowed values: {}.",
                allowed.join(", ")
            ))),
            None => Ok(list),
        }
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<UnixMs>, Refusal> {
        self.get(name)
            .map(|text| {
                parse_iso(text).ok_or_else(|| {
                    Refusal::invalid_input(format!(
                        "Invalid {name}. It must be in ISO 8601 format."
                    ))
                })
            })
            .transpose()
    }

    pub(crate) fn number(&self, name: &str, from: u32, to: u32) -> Result<Option<u32>, Refusal> {
        self.get(name)
            .map(|text| {
                let number = text
                    .parse()
                    .ok()
                    .filter(|number| (from..=to).contains(number));
                number.ok_or_else(|| {
                    Refusal::invalid_input(format!(
                        "Invalid {name}. It must be between {from} and {to}."
                    ))
                })
            })
            .transpose()
    }

    /// All parameters except `left_out` in a fixed order: equal for equal requests.
    pub(crate) fn fingerprint(&self, left_out: &[&str]) -> u64 {
        let mut kept: Vec<_> = self
            .0
            .iter()
            .filter(|(name, _)| !left_out.contains(&name.as_str()))
            .collect();
        kept.sort();
        kept.iter().fold(0, |sum, (name, value)| {
            crate::dice::checksum(
                crate::dice::checksum(sum, name.as_bytes()),
                value.as_bytes(),
            )
        })
    }

    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// The pairs of a query string or of a form's body.
pub(crate) fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}
