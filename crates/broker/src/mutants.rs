//! Scripts without one of their guards, for the tests that show that each guard is needed. Never part of a release.
//!
//! A line of a script that ends in `-- guard NAME: TEXT` has a mutant called NAME. In it TEXT stands instead of what is
//! behind `if`, `elseif`, `while`, `and`, `or` or `=` in that line (a `then` or `do` stays), or else of the whole
//! statement. A line may end in several guards.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use crate::script::{self, Text};

const MARK: &str = " -- guard ";
const HEADS: [&str; 5] = ["if ", "elseif ", "while ", "and ", "or "];
const TAILS: [&str; 2] = [" then", " do"];

/// The names of the guards of all scripts, each once, in the order of the scripts' names.
#[must_use]
pub fn guards() -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for line in script::SCRIPTS
        .iter()
        .flat_map(|script| script.text().lines())
    {
        for (name, _) in marks(line) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// `text` without the guard; `None` if it does not have it.
pub(crate) fn without(text: &'static str, guard: &'static str) -> Option<&'static Text> {
    type Known = HashMap<(usize, &'static str), Option<&'static Text>>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known
        .entry((text.as_ptr().addr(), guard))
        .or_insert_with(|| {
            // As many as there are guards and scripts, and only in tests.
            mutate(text, guard).map(|text| &*Box::leak(Box::new(Text::new(&text))))
        })
}

fn mutate(text: &str, guard: &str) -> Option<String> {
    let mut found = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        let instead = marks(line).find(|(name, _)| *name == guard);
        found |= instead.is_some();
        lines.push(instead.map_or_else(|| line.to_owned(), |(_, instead)| replace(line, instead)));
    }
    found.then(|| lines.join("\n"))
}

/// Name and replacement of each guard that a line ends in.
fn marks(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let marks = line.split(MARK).skip(1);
    marks.filter_map(|mark| mark.split_once(": "))
}

fn replace(line: &str, instead: &str) -> String {
    let code = line.split(MARK).next().unwrap_or_default();
    let statement = code.trim_start();
    let indent = &code[..code.len() - statement.len()];
    let head = HEADS.iter().find(|head| statement.starts_with(**head));
    let assigned = || statement.find(" = ").map_or(0, |at| at + " = ".len());
    let head = &statement[..head.map_or_else(assigned, |head| head.len())];
    let tail = TAILS.iter().find(|tail| statement.ends_with(**tail));
    format!("{indent}{head}{instead}{}", tail.unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_replaced_and_nothing_else() {
        for (line, mutant) in [
            ("if a == 1 then -- guard g: false", "if false then"),
            ("  elseif a then -- guard g: b", "  elseif b then"),
            ("  or x(a, 'b') then -- guard g: true", "  or true then"),
            ("  and a < 2 * b -- guard f: c -- guard g: d", "  and d"),
            ("local t = f(a) + 1 -- guard g: n", "local t = n"),
            ("call('A', b) -- guard g: call('C')", "call('C')"),
        ] {
            let text = format!("first = 1\n{line}\nlast()");
            let expected = format!("first = 1\n{mutant}\nlast()");
            assert_eq!(mutate(&text, "g"), Some(expected));
            assert_eq!(mutate(&text, "other"), None);
        }
    }
}
