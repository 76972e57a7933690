//! What Amazon's secrets look like, to catch the wrong one before it is stored.

use bulkhead_service::StartError;

/// Which secret is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A seller's grant, `Atzr|…`.
    RefreshToken,
    /// An application's secret, `amzn1.oa2-cs.v1.…`.
    ClientSecret,
}

/// What a text looks like, by its beginning.
const SHAPES: &[(&str, Shape)] = &[
    ("Atzr|", Shape::RefreshToken),
    ("Atza|", Shape::AccessToken),
    ("Atc|", Shape::AccessToken),
    ("amzn1.oa2-cs.", Shape::ClientSecret),
    ("amzn1.application-oa2-client.", Shape::ClientId),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    RefreshToken,
    AccessToken,
    ClientSecret,
    ClientId,
}

impl Wanted {
    /// As it is called in a sentence.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefreshToken => "refresh token",
            Self::ClientSecret => "client secret",
        }
    }

    const fn shape(self) -> Shape {
        match self {
            Self::RefreshToken => Shape::RefreshToken,
            Self::ClientSecret => Shape::ClientSecret,
        }
    }

    const fn beginning(self) -> &'static str {
        match self {
            Self::RefreshToken => "`Atzr`",
            Self::ClientSecret => "`amzn1.oa2-cs`",
        }
    }

    /// Whether `text` may be this secret; `Ok` holds a warning if it does not look like one of Amazon's.
    ///
    /// # Errors
    /// It certainly is something else; the sentence says what. Neither ever repeats the text.
    pub fn check(self, text: &str) -> Result<Option<String>, String> {
        match shape(text) {
            Some(shape) if shape == self.shape() => Ok(None),
            Some(other) => Err(format!(
                "this is {}; the {} begins with {}",
                other.described(),
                self.as_str(),
                self.beginning()
            )),
            None => Ok(Some(format!(
                "this does not look like a {}, which begins with {}; stored all the same",
                self.as_str(),
                self.beginning()
            ))),
        }
    }
}

impl Shape {
    const fn described(self) -> &'static str {
        match self {
            Self::RefreshToken => "a refresh token",
            Self::AccessToken => "an access token, which lives an hour",
            Self::ClientSecret => "a client secret",
            Self::ClientId => "a client id",
        }
    }
}

fn shape(text: &str) -> Option<Shape> {
    let known = SHAPES.iter().find(|(start, _)| text.starts_with(start));
    known.map(|(_, shape)| *shape)
}

/// The kind of secret that stands among `arguments`, if any does; also as `--flag=secret`.
#[must_use]
pub fn among_arguments(arguments: impl IntoIterator<Item = String>) -> Option<&'static str> {
    let secret = |text: &str| shape(text).filter(|shape| *shape != Shape::ClientId);
    arguments.into_iter().find_map(|argument| {
        let value = argument.split_once('=').map_or("", |(_, value)| value);
        let found = secret(&argument).or_else(|| secret(value));
        found.map(Shape::described)
    })
}

/// The refusal of a secret that [`among_arguments`] saw, exit code 2.
#[must_use]
pub fn refused_argument(secret: &str) -> StartError {
    StartError::refused(format!(
        "{secret} was given on the command line, where every user of this machine can read it: have Amazon replace it, \
         and give the new one by file, pipe or prompt"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_secret_passes_silently() {
        assert_eq!(Wanted::RefreshToken.check("Atzr|IwEB"), Ok(None));
        assert_eq!(Wanted::ClientSecret.check("amzn1.oa2-cs.v1.ab"), Ok(None));
    }

    #[test]
    fn another_secret_is_refused_by_its_name_and_not_repeated() {
        let cases = [
            (Wanted::RefreshToken, "Atza|canary", "an access token"),
            (
                Wanted::RefreshToken,
                "amzn1.oa2-cs.v1.canary",
                "a client secret",
            ),
            (Wanted::ClientSecret, "Atzr|canary", "a refresh token"),
            (
                Wanted::ClientSecret,
                "amzn1.application-oa2-client.canary",
                "a client id",
            ),
        ];
        for (wanted, text, described) in cases {
            let refusal = wanted.check(text).unwrap_err();
            assert!(refusal.contains(described), "{refusal}");
            assert!(!refusal.contains("canary"), "{refusal}");
        }
    }

    #[test]
    fn an_unknown_shape_is_warned_of_and_not_repeated() {
        let warning = Wanted::ClientSecret.check("canary").unwrap().unwrap();
        assert!(warning.contains("does not look like"), "{warning}");
        assert!(!warning.contains("canary"), "{warning}");
    }

    #[test]
    fn a_secret_among_the_arguments_is_seen_wherever_it_stands() {
        let found = |text: &str| among_arguments(text.split(' ').map(str::to_owned));
        assert_eq!(found("connection add shop Atzr|x"), Some("a refresh token"));
        assert_eq!(
            found("connection add --token=Atza|x"),
            Some("an access token, which lives an hour")
        );
        assert_eq!(
            found("application add a --client-id amzn1.oa2-cs.v1.x"),
            Some("a client secret")
        );
        assert_eq!(
            found("application add a --client-id amzn1.application-oa2-client.x"),
            None
        );
        assert_eq!(found("enqueue sync --since 7d"), None);
    }
}
