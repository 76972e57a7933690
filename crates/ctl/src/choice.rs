//! Flags that take one of a few words: clap lists them in `--help`, completes them, and suggests the nearest.

use std::{error::Error, str::FromStr};

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Takes one of `words`, each of which `T` parses.
pub fn choice<T, const N: usize>(
    words: [&'static str; N],
) -> impl TypedValueParser<Value = T> + use<T, N>
where
    T: FromStr + Clone + Send + Sync + 'static,
    T::Err: Error + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_domain::Region;
    use clap::{Arg, Command};

    #[test]
    fn an_unknown_word_is_refused_with_the_nearest_one() {
        let words = Region::ALL.map(Region::as_str);
        let command =
            Command::new("test").arg(Arg::new("region").value_parser(choice::<Region, 3>(words)));
        let found = command.clone().get_matches_from(["test", "eu"]);
        assert_eq!(found.get_one::<Region>("region"), Some(&Region::Eu));
        let refusal = command.try_get_matches_from(["test", "eur"]).unwrap_err();
        assert!(
            refusal.to_string().contains("possible values: na, eu, fe"),
            "{refusal}"
        );
    }
}
