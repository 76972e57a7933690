//! Secrets come from a file, a pipe or a prompt without echo, never from the command line.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::Path,
};

use bulkhead_vault::Zeroizing;

use crate::{prompt, secret_shape::Wanted};

/// Amazon's tokens stay below 4 KiB.
const LONGEST_BYTES: u64 = 16 * 1024;

/// Why no secret was read. Displays without the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretInputError {
    /// The file or standard input cannot be read.
    #[error("the {} cannot be read from {from}", wanted.as_str())]
    Unreadable {
        /// Which secret.
        wanted: Wanted,
        /// Path, or `standard input`.
        from: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was read is not the secret.
    #[error("the {} from {from} is refused: {problem}", wanted.as_str())]
    Refused {
        /// Which secret.
        wanted: Wanted,
        /// Path, or `standard input`.
        from: String,
        /// Why.
        problem: String,
    },
}

/// Reads a secret from `file`, or else from standard input: a pipe, or a prompt on a terminal.
///
/// One newline at the end is left out. A warning about its shape goes to standard error.
///
/// # Errors
/// [`SecretInputError`].
pub fn read(wanted: Wanted, file: Option<&Path>) -> Result<Zeroizing<String>, SecretInputError> {
    let from = file.map_or_else(
        || "standard input".to_owned(),
        |path| path.display().to_string(),
    );
    let bytes = bytes(wanted, file).map_err(|source| SecretInputError::Unreadable {
        wanted,
        from: from.clone(),
        source,
    })?;
    let (secret, warning) =
        accept(wanted, &bytes).map_err(|problem| SecretInputError::Refused {
            wanted,
            from,
            problem,
        })?;
    if let Some(warning) = warning {
        // A warning that cannot be shown stops nothing.
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    Ok(secret)
}

fn bytes(wanted: Wanted, file: Option<&Path>) -> io::Result<Zeroizing<Vec<u8>>> {
    match file {
        Some(path) => all_of(File::open(path)?),
        None if io::stdin().is_terminal() => {
            prompt::hidden(&format!("{} (not shown): ", wanted.as_str()))
        }
        None => all_of(io::stdin().lock()),
    }
}

fn all_of(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Its final size from the start: a vector that grows leaves copies behind.
    let room = usize::try_from(LONGEST_BYTES + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    from.take(LONGEST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn accept(wanted: Wanted, bytes: &[u8]) -> Result<(Zeroizing<String>, Option<String>), String> {
    if bytes.len() as u64 > LONGEST_BYTES {
        return Err(format!("it is longer than {LONGEST_BYTES} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(
            "it has spaces, control characters or several lines: give the secret and nothing else"
                .to_owned(),
        );
    }
    let warning = wanted.check(text)?;
    Ok((Zeroizing::new(text.to_owned()), warning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(text: &str) -> Result<String, String> {
        accept(Wanted::RefreshToken, text.as_bytes()).map(|(secret, _)| secret.to_string())
    }

    #[test]
    fn one_newline_at_the_end_is_left_out() {
        for text in ["Atzr|abc", "Atzr|abc\n", "Atzr|abc\r\n"] {
            assert_eq!(accepted(text), Ok("Atzr|abc".to_owned()), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_one_secret_is_refused() {
        for text in [
            "",
            "\n",
            "Atzr|abc\n\n",
            " Atzr|abc",
            "Atzr|a\nAtzr|b",
            "Atza|abc",
        ] {
            let refusal = accepted(text).unwrap_err();
            assert!(!refusal.contains("abc"), "{text:?}: {refusal}");
        }
        let endless = vec![b'a'; 20_000];
        assert!(accept(Wanted::RefreshToken, &endless).is_err());
        assert!(accept(Wanted::RefreshToken, &[0xff, 0xfe]).is_err());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Wanted::ClientSecret, Some(Path::new("/nowhere/secret"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the client secret cannot be read from /nowhere/secret"
        );
    }
}
