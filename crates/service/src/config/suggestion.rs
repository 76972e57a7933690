//! "Did you mean": what an unknown key was probably meant to be.

use super::problem::Source;
use super::sources::variable;

const NEAR: f64 = 0.55;

/// The line for a key that no setting has, in the words of its source.
pub(super) fn unknown_key(key: &str, known: &[&str], source: &Source) -> String {
    if is_section(key, known) {
        return format!(
            "{key} is a section, not a setting; it has {}",
            keys_of(key, known)
        );
    }
    match nearest(key, known) {
        Some(meant) => format!(
            "{key} is not a setting; did you mean {}?",
            in_words_of(source, meant)
        ),
        None => match key.rsplit_once('.') {
            Some((section, _)) if is_section(section, known) => {
                format!(
                    "{key} is not a setting; {section} has {}",
                    keys_of(section, known)
                )
            }
            _ => format!(
                "{key} is not a setting; the sections are {}",
                sections(known).join(", ")
            ),
        },
    }
}

/// The line for a section that does not exist.
pub(super) fn unknown_section(name: &str, known: &[&str]) -> String {
    let sections = sections(known);
    match best(&sections, |section| similarity(name, section)) {
        Some(meant) => format!("[{name}] is not a section; did you mean [{meant}]?"),
        None => format!(
            "[{name}] is not a section; the sections are {}",
            sections.join(", ")
        ),
    }
}

/// `BULKHEAD_POSTGRES_URL` would silently do nothing; `BULKHEAD_TEST_POSTGRES` is somebody else's.
pub(super) fn misspelt_variable(name: &str, known: &[&str]) -> Option<(String, String)> {
    let letters = |text: &str| text.replace('_', "");
    let meant = known
        .iter()
        .map(|key| variable(key))
        .find(|meant| letters(meant) == letters(name))?;
    Some((
        name.to_owned(),
        format!("is not a setting; did you mean {meant}?"),
    ))
}

/// Whether any setting lies below `name`.
pub(super) fn is_section(name: &str, known: &[&str]) -> bool {
    known.iter().any(|key| {
        key.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn in_words_of(source: &Source, key: &str) -> String {
    match source {
        Source::Environment(_) => variable(key),
        _ => key.to_owned(),
    }
}

fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
    best(known, |candidate| {
        let (known_section, known_name) = candidate.rsplit_once('.').unwrap_or(("", candidate));
        let (sections, names) = (
            similarity(section, known_section),
            similarity(name, known_name),
        );
        // The right name in the wrong section counts; a wrong name in the right section does not.
        if names < NEAR || (sections < NEAR && names < 1.0) {
            0.0
        } else {
            names + sections / 2.0
        }
    })
}

fn best<'a>(candidates: &[&'a str], score: impl Fn(&str) -> f64) -> Option<&'a str> {
    let scored = candidates
        .iter()
        .map(|candidate| (*candidate, score(candidate)));
    scored
        .filter(|(_, score)| *score >= NEAR)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(name, _)| name)
}

fn similarity(a: &str, b: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(a, b)
}

fn keys_of(section: &str, known: &[&str]) -> String {
    let keys = known
        .iter()
        .filter_map(|key| key.strip_prefix(section)?.strip_prefix('.'));
    keys.collect::<Vec<_>>().join(", ")
}

fn sections<'a>(known: &[&'a str]) -> Vec<&'a str> {
    let mut names: Vec<_> = known
        .iter()
        .filter_map(|key| key.split_once('.'))
        .map(|(name, _)| name)
        .collect();
    names.dedup();
    names
}
