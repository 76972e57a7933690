//! The file that holds key-encryption keys: generated, restricted to what a class needs, written, read.
//!
//! ```toml
//! environment = "production"  # the only one it is for
//!
//! [refresh_tokens]
//! current = 1
//!
//! [[refresh_tokens.keys]]
//! id = "refresh_tokens-5f0c31aa"
//! version = 1
//! public = "…"   # X25519, base64
//! private = "…"  # left out of the file of a class that only seals
//! ```

mod access;
mod format;

use std::{
    collections::BTreeMap, fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path,
};

use ring::rand::{SecureRandom, SystemRandom};

use crate::{
    error::KeyringError,
    purpose::PurposeKind,
    wrap::{self, PrivateKey, PublicKey},
};

/// Key pairs by purpose.
#[derive(Clone, Default)]
pub struct KeyringFile {
    environment: Option<String>,
    purposes: BTreeMap<PurposeKind, PurposeKeys>,
}

/// What a class may do with a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only the public halves.
    SealOnly,
    /// Both halves.
    Open,
}

/// The versions of one purpose's key; one of them is current.
#[derive(Clone)]
pub(crate) struct PurposeKeys {
    current: usize,
    keys: Vec<KeyPair>,
}

/// One version of a key-encryption key.
#[derive(Clone)]
pub(crate) struct KeyPair {
    pub(crate) id: String,
    pub(crate) version: i32,
    pub(crate) public: PublicKey,
    pub(crate) private: Option<PrivateKey>,
}

impl PurposeKeys {
    pub(crate) fn current(&self) -> &KeyPair {
        &self.keys[self.current]
    }

    pub(crate) fn all(&self) -> &[KeyPair] {
        &self.keys
    }
}

impl KeyringFile {
    /// A fresh key pair for every purpose, version 1.
    ///
    /// # Errors
    /// [`KeyringError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyringError> {
        let mut purposes = BTreeMap::new();
        for purpose in PurposeKind::ALL {
            let (private, public) = wrap::generate();
            let key = KeyPair {
                id: random_id(purpose)?,
                version: 1,
                public,
                private: Some(private),
            };
            let keys = PurposeKeys {
                current: 0,
                keys: vec![key],
            };
            purposes.insert(purpose, keys);
        }
        Ok(Self {
            environment: None,
            purposes,
        })
    }

    /// For the processes of one environment: those of another refuse it.
    #[must_use]
    pub fn for_environment(self, environment: &str) -> Self {
        Self {
            environment: Some(environment.to_owned()),
            ..self
        }
    }

    /// What a class gets: the purposes that are listed, and of those listed as [`Access::SealOnly`] only the public halves.
    #[must_use]
    pub fn restricted_to(&self, allowed: &[(PurposeKind, Access)]) -> Self {
        let mut purposes = BTreeMap::new();
        for (purpose, access) in allowed {
            let Some(keys) = self.purposes.get(purpose) else {
                continue;
            };
            let mut keys = keys.clone();
            if *access == Access::SealOnly {
                keys.keys.iter_mut().for_each(|key| key.private = None);
            }
            purposes.insert(*purpose, keys);
        }
        Self {
            environment: self.environment.clone(),
            purposes,
        }
    }

    /// Reads a keyring file that only this process's user may be able to read or write.
    ///
    /// # Errors
    /// [`KeyringError`]: one line that says what is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        let text = access::read_private(path)?;
        format::parse(&text).map_err(|problem| KeyringError::Content {
            path: path.to_owned(),
            problem,
        })
    }

    /// Makes `path` with mode 0600 and writes the keys. A file that is there already is left alone.
    ///
    /// # Errors
    /// [`KeyringError::Io`]: the file exists, or cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), KeyringError> {
        let failed = |source| KeyringError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        file.write_all(format::render(self).as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed)
    }

    /// The environment that it is for, if it is for one only.
    pub(crate) fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    pub(crate) fn keys(&self, purpose: PurposeKind) -> Option<&PurposeKeys> {
        self.purposes.get(&purpose)
    }
}

impl std::fmt::Debug for KeyringFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyringFile({:?}, [redacted])", self.purposes.keys())
    }
}

/// The purpose and four random bytes: two keyrings' keys are told apart in the database.
fn random_id(purpose: PurposeKind) -> Result<String, KeyringError> {
    let mut bytes = [0; 4];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| KeyringError::NoRandomness)?;
    Ok(format!("{purpose}-{:08x}", u32::from_be_bytes(bytes)))
}
