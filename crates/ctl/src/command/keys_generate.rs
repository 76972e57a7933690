//! `bulkhead keys generate`

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use bulkhead_vault::{
    Access::{self, Open, SealOnly},
    KeyringFile,
    PurposeKind::{self, AccessTokens, BuyerPii, ClientSecrets, RefreshTokens},
};
use serde::Serialize;

use crate::{output::Answer, session::Session, table::Rows};

/// Makes fresh keys: a keyring with all of them, and for each class a file with those it needs
///
/// Each file is readable by its owner alone, is for the environment in `vault.environment` alone, and none that exists
/// is overwritten. Give each process its file as
/// `vault.keyring`, and keep `keyring.toml` offline: whoever has it opens everything.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  bulkhead keys generate --dir ./keys")]
pub(crate) struct KeysGenerate {
    /// Where to write the files; made if it is missing
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// Change nothing if all the files are there already: for set-ups that run again
    #[arg(long)]
    keep_existing: bool,
}

struct File {
    name: &'static str,
    purpose: &'static str,
    /// `None`: everything.
    holds: Option<&'static [(PurposeKind, Access)]>,
}

const FILES: [File; 4] = [
    File {
        name: "keyring.toml",
        purpose: "all keys: keep it offline",
        holds: None,
    },
    File {
        name: "cli.toml",
        purpose: "bulkhead: seals refresh tokens and client secrets",
        holds: Some(&[(RefreshTokens, SealOnly), (ClientSecrets, SealOnly)]),
    },
    File {
        name: "sync.toml",
        purpose: "bulkhead-sync: opens access tokens, seals buyer data",
        holds: Some(&[(AccessTokens, Open), (BuyerPii, SealOnly)]),
    },
    File {
        name: "token.toml",
        purpose: "bulkhead-token: opens refresh tokens and client secrets, seals and opens access tokens",
        holds: Some(&[
            (RefreshTokens, Open),
            (ClientSecrets, Open),
            (AccessTokens, Open),
        ]),
    },
];

#[derive(Debug, Serialize)]
struct Generated {
    files: Vec<GeneratedFile>,
}

#[derive(Debug, Serialize)]
struct GeneratedFile {
    path: PathBuf,
    purpose: &'static str,
}

impl KeysGenerate {
    pub(super) fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let generated = match existing(&self.dir) {
            Some(existing) if self.keep_existing => existing,
            _ => generate(&self.dir, &session.config().vault.environment)?,
        };
        session.show(&generated)
    }
}

/// The files, if every one of them is there.
fn existing(folder: &Path) -> Option<Generated> {
    let files: Vec<GeneratedFile> = FILES
        .iter()
        .map(|file| GeneratedFile {
            path: folder.join(file.name),
            purpose: file.purpose,
        })
        .collect();
    let complete = files.iter().all(|file| file.path.is_file());
    complete.then_some(Generated { files })
}

fn generate(folder: &Path, environment: &str) -> anyhow::Result<Generated> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("make the folder {}", folder.display()))?;
    // Before the first is written: half a set of new keys beside an old one would be a trap.
    for file in &FILES {
        refuse_existing(&folder.join(file.name))?;
    }
    let all = KeyringFile::generate()?.for_environment(environment);
    let mut files = Vec::new();
    for file in &FILES {
        let path = folder.join(file.name);
        let keyring = file
            .holds
            .map_or_else(|| all.clone(), |holds| all.restricted_to(holds));
        keyring.write(&path)?;
        files.push(GeneratedFile {
            path,
            purpose: file.purpose,
        });
    }
    Ok(Generated { files })
}

fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    match path.symlink_metadata() {
        Ok(_) => anyhow::bail!(
            "{} exists: what was sealed with it could not be opened with another; choose another --dir",
            path.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("look at {}", path.display())),
    }
}

impl Answer for Generated {
    fn for_people(&self, colour: bool) -> String {
        let mut rows = Rows::new(&["file", "for"], "");
        for file in &self.files {
            rows.add([file.path.display().to_string(), file.purpose.to_owned()]);
        }
        rows.render(colour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_vault::{Keyring, KeyringError};

    #[test]
    fn each_class_gets_the_keys_it_needs_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("keys");
        generate(&folder, "test").unwrap();
        let keyring = |name: &str| Keyring::load(&folder.join(name), "test").unwrap();
        let cli = keyring("cli.toml");
        assert!(cli.sealer::<bulkhead_vault::RefreshTokens>().is_ok());
        assert!(cli.sealer::<bulkhead_vault::ClientSecrets>().is_ok());
        assert!(matches!(
            cli.opener::<bulkhead_vault::RefreshTokens>(),
            Err(KeyringError::SealOnly { .. })
        ));
        let sync = keyring("sync.toml");
        assert!(sync.opener::<bulkhead_vault::AccessTokens>().is_ok());
        assert!(sync.sealer::<bulkhead_vault::BuyerPii>().is_ok());
        assert!(sync.opener::<bulkhead_vault::BuyerPii>().is_err());
        assert!(sync.sealer::<bulkhead_vault::RefreshTokens>().is_err());
        let token = keyring("token.toml");
        assert!(token.opener::<bulkhead_vault::RefreshTokens>().is_ok());
        assert!(token.opener::<bulkhead_vault::ClientSecrets>().is_ok());
        assert!(token.sealer::<bulkhead_vault::AccessTokens>().is_ok());
        assert!(token.sealer::<bulkhead_vault::BuyerPii>().is_err());
    }

    #[test]
    fn a_set_is_existing_only_when_every_file_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("keys");
        assert!(existing(&folder).is_none());
        generate(&folder, "test").unwrap();
        assert_eq!(
            existing(&folder).map(|set| set.files.len()),
            Some(FILES.len())
        );
        fs::remove_file(folder.join("sync.toml")).unwrap();
        assert!(existing(&folder).is_none());
    }

    #[test]
    fn existing_keys_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("token.toml");
        fs::write(&kept, "precious").unwrap();
        let refusal = generate(folder.path(), "test").unwrap_err().to_string();
        assert!(refusal.contains("token.toml exists"), "{refusal}");
        assert_eq!(fs::read_to_string(&kept).unwrap(), "precious");
        assert!(!folder.path().join("keyring.toml").exists());
    }
}
