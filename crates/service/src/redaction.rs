//! The second line of defence: secrets that got into a log line in spite of their types.
//!
//! Replaced by `[redacted]`: Amazon's access tokens (`Atza|…`), refresh tokens (`Atzr|…`), restricted data
//! tokens (`Atz.sprdt|…`), client secrets (`amzn1.oa2-cs.v1.…`), and passwords in URLs.

use std::borrow::Cow;
use std::io;
use std::io::Write;

use tracing_subscriber::fmt::MakeWriter;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// How secrets of Amazon begin; `%7C` and `\u007c` are `|` in a URL and in JSON.
const TOKENS: &[&str] = &[
    "Atza|",
    "Atza%7C",
    "Atza\\u007c",
    "Atzr|",
    "Atzr%7C",
    "Atzr\\u007c",
    "Atz.sprdt|",
    "Atz.sprdt%7C",
    "Atz.sprdt\\u007c",
    "amzn1.oa2-cs.v1.",
];

/// `text` with every secret replaced; borrowed if it has none.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let Some(first) = next_secret(text) else {
        return Cow::Borrowed(text);
    };
    let mut clean = String::with_capacity(text.len());
    let (mut rest, mut next) = (text, Some(first));
    while let Some(secret) = next {
        clean.push_str(&rest[..secret.start]);
        clean.push_str(REDACTED);
        rest = &rest[secret.end..];
        next = next_secret(rest);
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// Makes writers whose lines are redacted before they reach `inner`.
#[derive(Debug, Clone)]
pub struct Redacting<M> {
    inner: M,
}

impl<M> Redacting<M> {
    /// Redacts what is written to `inner`.
    pub const fn new(inner: M) -> Redacting<M> {
        Redacting { inner }
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Redacting<M> {
    type Writer = RedactingWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        RedactingWriter {
            inner: self.inner.make_writer(),
            pending: Vec::new(),
        }
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> Self::Writer {
        RedactingWriter {
            inner: self.inner.make_writer_for(metadata),
            pending: Vec::new(),
        }
    }
}

/// Holds back an unfinished line: a secret may come in two writes.
#[derive(Debug)]
pub struct RedactingWriter<W: Write> {
    inner: W,
    pending: Vec<u8>,
}

impl<W: Write> RedactingWriter<W> {
    fn pass_on(&mut self, length: usize) -> io::Result<()> {
        let lines: Vec<u8> = self.pending.drain(..length).collect();
        let text = String::from_utf8_lossy(&lines);
        self.inner.write_all(redact(&text).as_bytes())
    }
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if let Some(newline) = bytes.iter().rposition(|byte| *byte == b'\n') {
            let length = self.pending.len() - bytes.len() + newline + 1;
            self.pass_on(length)?;
        }
        Ok(bytes.len())
    }

    /// Flushes what was passed on; an unfinished line stays until it is finished or the writer is dropped.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Drop for RedactingWriter<W> {
    fn drop(&mut self) {
        // A log line that cannot be written has nowhere else to go.
        let _ = self.pass_on(self.pending.len());
    }
}

/// Byte positions in the text that was searched.
#[derive(Debug, Clone, Copy)]
struct Secret {
    start: usize,
    end: usize,
}

fn next_secret(text: &str) -> Option<Secret> {
    let candidates = text
        .char_indices()
        .filter(|(_, c)| matches!(c, 'A' | 'a' | ':' | '?' | '&'));
    candidates.map(|(at, _)| at).find_map(|at| {
        token_at(text, at)
            .or_else(|| password_at(text, at))
            .or_else(|| parameter_at(text, at))
    })
}

fn token_at(text: &str, start: usize) -> Option<Secret> {
    let rest = &text[start..];
    let prefix = TOKENS.iter().find(|prefix| starts_with(rest, prefix))?;
    let length = rest[prefix.len()..]
        .find(|c: char| !is_token(c))
        .unwrap_or(rest.len() - prefix.len());
    Some(Secret {
        start,
        end: start + prefix.len() + length,
    })
}

/// `://user:password@`: the password.
fn password_at(text: &str, start: usize) -> Option<Secret> {
    let authority = start + "://".len();
    let rest = text[start..].strip_prefix("://")?;
    let length = rest.find(|c: char| {
        c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '<' | '>' | '?' | '#' | '\u{1b}')
    });
    let rest = &rest[..length.unwrap_or(rest.len())];
    let at = rest.rfind('@')?;
    let colon = rest[..at].find(':')?;
    // An empty password hides nothing, and what is redacted already stays as it is.
    let found = Secret {
        start: authority + colon + 1,
        end: authority + at,
    };
    let password = &text[found.start..found.end];
    (!password.is_empty() && password != REDACTED).then_some(found)
}

/// `?password=…` and `&password=…`: the value.
fn parameter_at(text: &str, start: usize) -> Option<Secret> {
    let value = start + "?password=".len();
    if !starts_with(text.get(start + 1..)?, "password=") {
        return None;
    }
    let rest = &text[value..];
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '&' | '#' | '"' | '\'' | '\\' | '<' | '>' | '\u{1b}')
    };
    let end = value + rest.find(ends).unwrap_or(rest.len());
    (end > value && &text[value..end] != REDACTED).then_some(Secret { start: value, end })
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.as_bytes()
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// What tokens are made of: base64 of both kinds, and `|`, `.`, `%` (encoded `|`, `+`, `/`, `=`).
const fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '/' | '=' | '|' | '.' | '%' | '~')
}

#[cfg(test)]
mod tests;
