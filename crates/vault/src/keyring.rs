//! The keys of one process.

use std::{
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::KeyringError,
    keyring_file::{KeyringFile, PurposeKeys},
    opener::{OpenKey, Opener},
    purpose::Purpose,
    sealer::Sealer,
};

/// A keyring file's keys, bound to an environment: what was sealed in one does not open in another.
pub struct Keyring {
    path: PathBuf,
    environment: Arc<str>,
    file: KeyringFile,
}

impl Keyring {
    /// Reads `path`, which only this process's user may be able to read, for `environment` (`production`, `development`).
    ///
    /// # Errors
    /// [`KeyringError`]: one line that says what is wrong with the file.
    pub fn load(path: &Path, environment: &str) -> Result<Self, KeyringError> {
        if environment.is_empty() {
            return Err(KeyringError::NoEnvironment {
                path: path.to_owned(),
            });
        }
        let file = KeyringFile::read(path)?;
        if let Some(other) = file.environment().filter(|other| *other != environment) {
            return Err(KeyringError::OtherEnvironment {
                path: path.to_owned(),
                keyring: other.to_owned(),
                process: environment.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            environment: environment.into(),
            file,
        })
    }

    /// Seals for `P` under the current version.
    ///
    /// # Errors
    /// [`KeyringError::MissingPurpose`].
    pub fn sealer<P: Purpose>(&self) -> Result<Sealer<P>, KeyringError> {
        let key = self.keys::<P>()?.current();
        Ok(Sealer {
            environment: Arc::clone(&self.environment),
            kek_id: key.id.as_str().into(),
            kek_version: key.version,
            public: key.public.clone(),
            purpose: PhantomData,
        })
    }

    /// Opens for `P`, whichever of the versions wrapped the data key.
    ///
    /// # Errors
    /// [`KeyringError::MissingPurpose`], or [`KeyringError::SealOnly`] if a version's private half is not in the file.
    pub fn opener<P: Purpose>(&self) -> Result<Opener<P>, KeyringError> {
        let keys = self.keys::<P>()?.all().iter().map(|key| {
            let private = key.private.clone().ok_or_else(|| KeyringError::SealOnly {
                path: self.path.clone(),
                purpose: P::KIND,
                version: key.version,
            })?;
            Ok(OpenKey {
                id: key.id.clone(),
                version: key.version,
                private,
            })
        });
        Ok(Opener {
            environment: Arc::clone(&self.environment),
            keys: keys.collect::<Result<_, _>>()?,
            purpose: PhantomData,
        })
    }

    fn keys<P: Purpose>(&self) -> Result<&PurposeKeys, KeyringError> {
        self.file
            .keys(P::KIND)
            .ok_or_else(|| KeyringError::MissingPurpose {
                path: self.path.clone(),
                purpose: P::KIND,
            })
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({}, {})", self.path.display(), self.environment)
    }
}
