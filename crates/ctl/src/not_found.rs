//! A name or id that nothing has: exit code 5.

use crate::suggestion::nearest;

/// The exit code of [`NotFound`].
pub const EXIT_CODE: u8 = 5;

/// This many existing names are listed when none is similar.
const LISTED: usize = 5;

/// Nothing has this name or id. Displays as one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} `{name}`{hint}")]
pub struct NotFound {
    what: &'static str,
    name: String,
    hint: String,
}

impl NotFound {
    /// No `what` is called `name`; `known` are the names that exist, `remedy` is how to make the first one.
    #[must_use]
    pub fn among<'a>(
        what: &'static str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
        remedy: &str,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let hint = match (nearest(name, known.iter().copied()), known.as_slice()) {
            (Some(meant), _) => format!("; did you mean `{meant}`?"),
            (None, []) => format!("; there is none yet: {remedy}"),
            (None, few) if few.len() <= LISTED => format!("; there is {}", few.join(", ")),
            (None, many) => format!(
                "; there are {} and {} more",
                many[..LISTED].join(", "),
                many.len() - LISTED
            ),
        };
        Self {
            what,
            name: name.to_owned(),
            hint,
        }
    }

    /// No `what` has this id; `remedy` is how to find the right one.
    #[must_use]
    pub fn id(what: &'static str, id: &impl ToString, remedy: &str) -> Self {
        Self {
            what,
            name: id.to_string(),
            hint: format!("; {remedy}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, known: &[&str]) -> String {
        let remedy = "add one with `bulkhead tenant add NAME`";
        NotFound::among("tenant", name, known.iter().copied(), remedy).to_string()
    }

    #[test]
    fn it_says_what_was_probably_meant() {
        assert_eq!(
            shown("acmee", &["acme", "globex"]),
            "there is no tenant `acmee`; did you mean `acme`?"
        );
    }

    #[test]
    fn without_a_similar_name_it_lists_what_exists() {
        assert_eq!(
            shown("umbrella", &["acme", "globex"]),
            "there is no tenant `umbrella`; there is acme, globex"
        );
        let many = ["a1", "a2", "a3", "a4", "a5", "a6", "a7"];
        assert_eq!(
            shown("umbrella", &many),
            "there is no tenant `umbrella`; there are a1, a2, a3, a4, a5 and 2 more"
        );
    }

    #[test]
    fn without_any_name_it_says_how_to_make_one() {
        assert_eq!(
            shown("acme", &[]),
            "there is no tenant `acme`; there is none yet: add one with `bulkhead tenant add NAME`"
        );
    }
}
