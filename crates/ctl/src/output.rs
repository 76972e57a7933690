//! What a command answers: a table or a sentence for people, one JSON document for scripts.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// An answer in both forms.
pub trait Answer: Serialize {
    /// For people, with its final newline; heads may be bold if `colour`.
    fn for_people(&self, colour: bool) -> String;
}

/// Where answers go.
pub struct Output {
    json: bool,
    colour: bool,
    to: Box<dyn Write>,
}

impl Output {
    /// Standard output; colour only on a terminal, and not if `NO_COLOR` is set.
    #[must_use]
    pub fn standard(json: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json,
            colour: io::stdout().is_terminal() && !refused,
            to: Box::new(io::stdout()),
        }
    }

    /// Writes `answer`.
    ///
    /// # Errors
    /// It cannot be written. Whoever stopped reading, as `head` does, wants no more: that is no error.
    pub fn show<A: Answer>(&mut self, answer: &A) -> io::Result<()> {
        let text = if self.json {
            format!("{}\n", serde_json::to_string_pretty(answer)?)
        } else {
            answer.for_people(self.colour)
        };
        self.write(text.as_bytes())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// As [`Output::show`].
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.to.write_all(bytes).and_then(|()| self.to.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("json", &self.json)
            .field("colour", &self.colour)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Serialize)]
    struct Greeting {
        name: &'static str,
    }

    impl Answer for Greeting {
        fn for_people(&self, _: bool) -> String {
            format!("hello {}\n", self.name)
        }
    }

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(json: bool) -> String {
        let paper = Paper::default();
        let mut output = Output {
            json,
            colour: false,
            to: Box::new(paper.clone()),
        };
        output.show(&Greeting { name: "acme" }).unwrap();
        String::from_utf8(paper.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn people_get_a_sentence_and_scripts_one_document() {
        assert_eq!(shown(false), "hello acme\n");
        assert_eq!(shown(true), "{\n  \"name\": \"acme\"\n}\n");
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let mut output = Output {
            json: true,
            colour: false,
            to: Box::new(Closed),
        };
        output.show(&Greeting { name: "acme" }).unwrap();
    }
}
