//! "Did you mean": the existing name that a mistyped one was probably meant to be.

/// Below this, two names have little in common.
const NEAR: f64 = 0.6;

/// The most similar of `known`; `None` if nothing is similar. Letter case does not matter.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known
        .into_iter()
        .map(|name| (name, similarity(given, name)));
    scored
        .filter(|(_, score)| *score >= NEAR)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(name, _)| name)
}

fn similarity(given: &str, known: &str) -> f64 {
    let (given, known) = (given.to_lowercase(), known.to_lowercase());
    // Whoever types the beginning of a long name means it, however long the rest is.
    if given.len() >= 3 && known.starts_with(&given) {
        return 0.9;
    }
    strsim::normalized_damerau_levenshtein(&given, &known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_recognised() {
        let known = ["acme", "globex", "initech-europe"];
        assert_eq!(nearest("acmee", known), Some("acme"));
        assert_eq!(nearest("ACME", known), Some("acme"));
        assert_eq!(nearest("gloxeb", known), Some("globex"));
        assert_eq!(nearest("init", known), Some("initech-europe"));
    }

    #[test]
    fn an_unrelated_name_suggests_nothing() {
        assert_eq!(nearest("umbrella", ["acme", "globex"]), None);
        assert_eq!(nearest("acme", []), None);
    }
}
