//! A keyring that is not exactly right is refused, in one line that names the file and repeats no key.

#![allow(clippy::unwrap_used, reason = "a failure of a test is the point")]

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
};

use bulkhead_vault::{Access, Keyring, KeyringFile, PurposeKind};
use tempfile::TempDir;

/// A keyring of one purpose, with both halves.
fn good() -> (TempDir, PathBuf, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("keyring.toml");
    KeyringFile::generate()
        .unwrap()
        .restricted_to(&[(PurposeKind::RefreshTokens, Access::Open)])
        .write(&path)
        .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    (folder, path, text)
}

/// The refusal's text without the path, after checking that it is one line and repeats no key.
fn refusal(path: &Path, text: &str) -> String {
    let error = Keyring::load(path, "test").unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    for value in text.split('"').filter(|part| part.len() > 40) {
        assert!(!error.contains(value), "{error}");
    }
    let start = format!("keyring {}: ", path.display());
    error
        .strip_prefix(&start)
        .expect("names the file")
        .to_owned()
}

fn value_of<'a>(text: &'a str, key: &str) -> &'a str {
    let rest = text.split(&format!("{key} = \"")).nth(1).unwrap();
    rest.split('"').next().unwrap()
}

#[test]
fn a_keyring_is_written_for_its_owner_only_and_never_over_another() {
    let (_folder, path, _) = good();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let error = KeyringFile::generate().unwrap().write(&path).unwrap_err();
    assert!(error.to_string().contains("exists"), "{error}");
    assert!(
        Keyring::load(&path, "test").is_ok(),
        "the first one is intact"
    );
}

#[test]
fn loose_permissions_are_refused() {
    let (_folder, path, text) = good();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o700, 0o666] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(
            refusal(&path, &text),
            format!("mode {mode:04o} lets others in; run `chmod 600` on it")
        );
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert!(Keyring::load(&path, "test").is_ok());
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give a file away");
        return;
    }
    let (_folder, path, text) = good();
    chown(&path, Some(65_534), None).unwrap();
    assert_eq!(
        refusal(&path, &text),
        "belongs to user 65534, but this process runs as user 0"
    );
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = TempDir::new().unwrap();
    let not_a_file = "not a regular file of at most 65536 bytes";
    assert_eq!(refusal(folder.path(), ""), not_a_file);
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert_eq!(refusal(&pipe, ""), not_a_file);
    let missing = folder.path().join("missing.toml");
    assert!(refusal(&missing, "").contains("No such file"));
}

#[test]
fn an_environment_without_a_name_is_refused() {
    let (_folder, path, _) = good();
    let error = Keyring::load(&path, "").unwrap_err();
    assert!(error.to_string().ends_with("the environment has no name"));
}

#[test]
fn a_keyring_for_one_environment_is_refused_in_another() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("keyring.toml");
    let file = KeyringFile::generate().unwrap();
    let restricted = file
        .for_environment("a \"quoted\" name")
        .restricted_to(&[(PurposeKind::BuyerPii, Access::SealOnly)]);
    restricted.write(&path).unwrap();
    assert!(Keyring::load(&path, "a \"quoted\" name").is_ok());
    let problem = "is for the environment `a \"quoted\" name`, but this process is in `test`: correct vault.keyring or vault.environment";
    assert_eq!(refusal(&path, ""), problem);
}

#[test]
fn every_flaw_of_the_content_is_told_in_one_line() {
    let (_folder, path, text) = good();
    let (public, private) = (value_of(&text, "public"), value_of(&text, "private"));
    let other = KeyringFile::generate().unwrap();
    let other_path = path.with_file_name("other.toml");
    other.write(&other_path).unwrap();
    let other_text = fs::read_to_string(other_path).unwrap();
    let mismatch =
        "[refresh_tokens] version 1: the private half does not belong to the public half";
    let key = "must be 32 bytes in base64";
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let flaws = [
        (
            text.replace("[refresh_tokens]", "[refresh_token]")
                .replace("refresh_tokens.keys", "refresh_token.keys"),
            "unknown purpose [refresh_token]".to_owned(),
        ),
        (
            format!("environment = \"\"\n{text}"),
            "`environment` must be a name".to_owned(),
        ),
        (
            text.replace("current = 1", "current = 1\ncurent = 1"),
            "unknown key `curent` in [refresh_tokens]".to_owned(),
        ),
        (
            format!("{text}\nprivat = 1\n"),
            "unknown key `privat` in [refresh_tokens.keys]".to_owned(),
        ),
        (
            text.replace("current = 1", "current = \"1\""),
            "`current` in [refresh_tokens] must be a version, a whole number from 1".to_owned(),
        ),
        (
            text.replace("version = 1", "version = 0"),
            "`version` in [refresh_tokens.keys] must be a version, a whole number from 1"
                .to_owned(),
        ),
        (
            text.replace("current = 1", "current = 2"),
            "[refresh_tokens] has no version 2, which is `current`".to_owned(),
        ),
        (
            "[refresh_tokens]\ncurrent = 1\n".to_owned(),
            "`keys` in [refresh_tokens] must be a list of keys, [[…keys]]".to_owned(),
        ),
        (
            format!("{text}{}", &text[text.find("[[").unwrap()..]),
            "[refresh_tokens] has version 1 twice".to_owned(),
        ),
        (
            text.replace(public, &public[4..]),
            format!("`public` in [refresh_tokens.keys] {key}"),
        ),
        (
            text.replace(private, &format!("AAAA{private}")),
            format!("`private` in [refresh_tokens.keys] {key}"),
        ),
        (
            text.replace(private, "not base64!"),
            format!("`private` in [refresh_tokens.keys] {key}"),
        ),
        (
            text.replace(private, value_of(&other_text, "private")),
            mismatch.to_owned(),
        ),
        (
            text.replace(public, zero),
            "[refresh_tokens] version 1: the public half is not a usable X25519 key".to_owned(),
        ),
        (
            text.replace("version = 1", "version = "),
            "not TOML: line 6".to_owned(),
        ),
    ];
    for (flawed, expected) in flaws {
        assert_ne!(flawed, text, "the flaw was put in: {expected}");
        fs::write(&path, &flawed).unwrap();
        assert_eq!(refusal(&path, &flawed), expected);
    }
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(refusal(&path, ""), "not UTF-8 text");
    fs::write(&path, "#".repeat(65_537)).unwrap();
    assert_eq!(
        refusal(&path, ""),
        "not a regular file of at most 65536 bytes"
    );
}
