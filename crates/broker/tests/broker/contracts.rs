//! What is said about the scripts is so: their headers, and the keys that the README lists.

use std::{collections::BTreeSet, fs, path::Path};

type Words = BTreeSet<String>;

/// A script by its name.
struct Lua {
    name: String,
    header: String,
    /// What it names, comments aside.
    words: Words,
    code: String,
}

impl Lua {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let (header, code) = text.split_once("]]\n").unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Self {
            name,
            header: header.to_owned(),
            words: words(code),
            code: code.to_owned(),
        }
    }
}

/// What a piece of code names.
fn words(code: &str) -> Words {
    let lines = code.lines().map(|line| line.split("--").next().unwrap());
    let parts = lines.flat_map(|line| line.split(|one: char| !one.is_alphanumeric() && one != '_'));
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Every script but the shared functions, and the code of these.
fn scripts() -> (Vec<Lua>, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (shared, scripts): (Vec<Lua>, Vec<Lua>) = paths
        .map(|path| Lua::read(&path))
        .partition(|script| ["lane", "budget"].contains(&script.name.as_str()));
    let codes = shared.iter().map(|script| script.code.as_str());
    (scripts, codes.collect())
}

#[test]
fn every_script_begins_with_its_contract() {
    let (scripts, _) = scripts();
    for Lua { name, header, .. } in scripts {
        assert!(header.starts_with("--[["), "{name}");
        for part in ["KEYS[1]  the shard\n", "ARGV", "Returns "] {
            assert!(header.contains(part), "{name} does not say {part:?}");
        }
    }
}

#[test]
fn the_readme_lists_each_script_with_the_keys_that_it_uses() {
    let readme = include_str!("../../README.md");
    let (scripts, shared) = scripts();
    let functions = functions(&shared);
    // A turn is made of two others.
    for script in scripts.iter().filter(|script| script.name != "turn") {
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", script.name)));
        let row = row.unwrap_or_else(|| panic!("{} has no row", script.name));
        let said: Words = row.split('|').skip(3).flat_map(quoted).collect();
        let used = keys(script.words.clone(), &functions, &shared);
        assert_eq!(said, used, "{}", script.name);
    }
}

/// Each shared function with what it names.
fn functions(shared: &str) -> Vec<(String, Words)> {
    let begins = "\nlocal function ";
    let bodies = shared.split(begins).skip(1);
    bodies
        .map(|body| {
            let name = body.split('(').next().unwrap().to_owned();
            let end = body.find("\nend\n").unwrap();
            (name, words(&body[..end]))
        })
        .collect()
}

/// The keys behind all that is named, directly or by a shared function.
fn keys(mut named: Words, functions: &[(String, Words)], shared: &str) -> Words {
    loop {
        let before = named.len();
        for (name, uses) in functions {
            if named.contains(name) {
                named.extend(uses.clone());
            }
        }
        if named.len() == before {
            break;
        }
    }
    let constants = shared.lines().filter_map(|line| {
        let (name, key) = line.strip_prefix("local ")?.split_once(" = P .. ':")?;
        Some((name, key.split('\'').next()?.trim_end_matches(':')))
    });
    constants
        .filter(|(name, _)| named.contains(*name))
        .map(|(_, key)| key.to_owned())
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}
