//! A script without what it does not use of the functions and names that all scripts share: Redis runs a script from its
//! first line each time, and to make a function or to join a key's name costs as much as a small command.

use std::collections::HashSet;

/// `code` without the top-level definitions that nothing in it needs: functions, and names of values that are made
/// without a call of anything. Such a definition begins with `local` in the first column. Comments that begin there go
/// too.
pub(crate) fn prune(code: &str) -> String {
    let blocks = blocks(code);
    let mut wanted: HashSet<&str> = HashSet::new();
    let mut kept = vec![false; blocks.len()];
    // What a kept block names, further blocks define.
    loop {
        let before = kept.iter().filter(|kept| **kept).count();
        for (block, kept) in blocks.iter().zip(&mut kept) {
            if !*kept && block.defines.is_none_or(|name| wanted.contains(name)) {
                *kept = true;
                wanted.extend(block.names());
            }
        }
        if kept.iter().filter(|kept| **kept).count() == before {
            break;
        }
    }
    let kept = blocks.iter().zip(kept).filter(|(_, kept)| *kept);
    kept.map(|(block, _)| block.text).collect()
}

/// A line in the first column with those that belong to it.
struct Block<'c> {
    text: &'c str,
    /// The one name that it defines and nothing else; `None` if it must stay.
    defines: Option<&'c str>,
}

fn blocks(code: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let (mut from, mut at) = (0, 0);
    for line in code.split_inclusive('\n') {
        if at > from && begins(line) {
            blocks.push(Block::new(&code[from..at]));
            from = at;
        }
        at += line.len();
    }
    blocks.push(Block::new(&code[from..]));
    blocks.retain(|block| !block.text.starts_with("--"));
    blocks
}

/// Whether a line is not the rest of what the line before it began.
fn begins(line: &str) -> bool {
    let rest = ["end", "else", "until", "}", ")"];
    line.starts_with(|first: char| !first.is_whitespace())
        && !rest.iter().any(|rest| line.starts_with(rest))
}

impl<'c> Block<'c> {
    fn new(text: &'c str) -> Self {
        Self {
            text,
            defines: defined(text),
        }
    }

    /// Every name in it, of whatever.
    fn names(&self) -> impl Iterator<Item = &'c str> {
        let code = self.text.lines().map(without_comment);
        code.flat_map(|line| line.split(|letter: char| !is_of_name(letter)))
    }
}

fn defined(text: &str) -> Option<&str> {
    let local = text.strip_prefix("local ")?;
    let (function, rest) = match local.strip_prefix("function ") {
        Some(rest) => (true, rest),
        None => (false, local),
    };
    let (name, rest) = rest.split_at(rest.find(|letter| !is_of_name(letter))?);
    let makes = |line| without_comment(line).contains('(');
    let alone = function || !rest.starts_with(',') && !rest.lines().any(makes);
    alone.then_some(name)
}

fn without_comment(line: &str) -> &str {
    line.split("--").next().unwrap_or_default()
}

fn is_of_name(letter: char) -> bool {
    letter == '_' || letter.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "#!lua\n\
        local call, sub = redis.call, string.sub\n\
        local JOBS = P .. ':jobs' -- hash\n\
        local DEAD = P .. ':dead' -- hash (of bodies)\n\
        local some\n\
        -- Looks some up.\n\
        local function look(id)\n  if id then\n    return call('HGET', JOBS, id)\n  end\nend\n\
        local function both(id)\n  return look(id), DEAD\nend\n\
        local seen = call('GET', 'x')\n";

    #[test]
    fn what_nothing_names_is_left_out() {
        let pruned = prune(&format!("{CODE}return look(1)\n"));
        assert!(pruned.contains("local function look(id)\n  if id then"));
        assert!(pruned.contains("local JOBS"));
        for name in ["DEAD", "both", "local some"] {
            assert!(!pruned.contains(name), "{name} is in: {pruned}");
        }
    }

    #[test]
    fn what_is_named_by_what_is_named_stays() {
        let code = format!("{CODE}return both(1)\n");
        let pruned = prune(&code);
        let left_out = "local some\n-- Looks some up.\n";
        assert_eq!(pruned, code.replace(left_out, ""));
    }

    #[test]
    fn what_does_something_stays() {
        let pruned = prune(&format!("{CODE}return 1\n"));
        for kept in [
            "#!lua\n",
            "local call, sub",
            "local seen = call('GET', 'x')\n",
            "return 1",
        ] {
            assert!(pruned.contains(kept), "{kept} is not in: {pruned}");
        }
    }

    #[test]
    fn a_name_in_a_comment_is_not_used() {
        let pruned = prune(&format!("{CODE}--[[ Not\n  DEAD. ]]\nreturn 1 -- DEAD\n"));
        assert!(!pruned.contains("local DEAD"), "{pruned}");
    }
}
