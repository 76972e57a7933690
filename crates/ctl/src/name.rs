//! Names that operators give: of tenants, applications and connections; and ids of jobs.

use bulkhead_domain::JobId;
use uuid::Uuid;

const LONGEST: usize = 100;

/// Takes a name for something new; for clap.
///
/// # Errors
/// Why such a name would be ambiguous on this command line, or could not be shown.
pub fn new_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a name cannot be empty".to_owned());
    }
    if text.trim() != text {
        return Err("a name does not begin or end with a space".to_owned());
    }
    if text.chars().count() > LONGEST {
        return Err(format!("a name has {LONGEST} characters at most"));
    }
    if text.chars().any(char::is_control) {
        return Err("a name has no control characters".to_owned());
    }
    if text.contains('/') {
        return Err("a name has no `/`: TENANT/CONNECTION names a connection".to_owned());
    }
    if text.parse::<Uuid>().is_ok() {
        return Err("a name does not look like an id".to_owned());
    }
    Ok(text.to_owned())
}

/// Takes a job's id; for clap.
///
/// # Errors
/// It does not look like one.
pub fn job_id(text: &str) -> Result<JobId, String> {
    text.parse().map_err(|_| {
        "an id looks like 6f1c2d7e-3b1a-5a54-9d3e-0c8f7b6a5e4d; `bulkhead jobs list` shows ids"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        for name in ["acme", "Größe & Söhne", "shop-1 (EU)"] {
            assert_eq!(new_name(name), Ok(name.to_owned()));
        }
    }

    #[test]
    fn names_that_would_be_ambiguous_or_unreadable_are_refused() {
        let long = "a".repeat(LONGEST + 1);
        let id = Uuid::from_u128(7).to_string();
        for name in [
            "",
            " ",
            " acme",
            "acme\n",
            "a/b",
            "a\u{1b}[31mb",
            &long,
            &id,
        ] {
            assert!(new_name(name).is_err(), "{name:?}");
        }
    }
}
