//! One error outside the crate; kinds inside it, for metrics.

use std::path::PathBuf;

use crate::purpose::PurposeKind;

/// Something does not open. Why is counted in `vault_open_failures_total{kind}` and not told to the caller, so that nothing can be probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value or wrapped key cannot be opened")]
pub struct OpenError(());

/// Why something does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenFailure {
    /// Too short, or of a version that this code does not know.
    Malformed,
    /// Sealed under another data key, or wrapped by a key that the keyring does not hold.
    UnknownKey,
    /// The key and context do not give the commitment.
    Commitment,
    /// The tag is wrong.
    Tag,
}

impl OpenFailure {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Commitment => "commitment",
            Self::Tag => "tag",
        }
    }
}

impl From<OpenFailure> for OpenError {
    fn from(failure: OpenFailure) -> Self {
        metrics::counter!("vault_open_failures_total", "kind" => failure.as_str()).increment(1);
        Self(())
    }
}

/// Something cannot be sealed: nothing was written, and trying again is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
    /// The plaintext is longer than AES-GCM can seal, or the public key does not take part in a key exchange.
    #[error("the value cannot be sealed")]
    Rejected,
}

/// A keyring is refused; each is one line that names the file and what to do. No variant repeats a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file cannot be read or made.
    #[error("keyring {}: {source}", path.display())]
    Io {
        /// The keyring file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Others than its owner may read or write the file.
    #[error("keyring {}: mode {mode:04o} lets others in; run `chmod 600` on it", path.display())]
    LoosePermissions {
        /// The keyring file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file belongs to someone else, who could change it.
    #[error("keyring {}: belongs to user {owner}, but this process runs as user {user}", path.display())]
    ForeignOwner {
        /// The keyring file.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// The effective user id of this process.
        user: u32,
    },
    /// The file's content is not a keyring.
    #[error("keyring {}: {problem}", path.display())]
    Content {
        /// The keyring file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// This process needs keys that its keyring does not have.
    #[error("keyring {}: no keys for {purpose}", path.display())]
    MissingPurpose {
        /// The keyring file.
        path: PathBuf,
        /// What the keys would be for.
        purpose: PurposeKind,
    },
    /// This process must open, but its keyring only lets it seal.
    #[error("keyring {}: {purpose} version {version} has no private half, so that nothing can be opened", path.display())]
    SealOnly {
        /// The keyring file.
        path: PathBuf,
        /// What the keys are for.
        purpose: PurposeKind,
        /// The key's version.
        version: i32,
    },
    /// The environment's name is empty: ciphertexts of all environments would look alike.
    #[error("keyring {}: the environment has no name", path.display())]
    NoEnvironment {
        /// The keyring file.
        path: PathBuf,
    },
    /// The file says that it is for another environment: nothing of this one would open.
    #[error(
        "keyring {}: is for the environment `{keyring}`, but this process is in `{process}`: correct vault.keyring or vault.environment",
        path.display()
    )]
    OtherEnvironment {
        /// The keyring file.
        path: PathBuf,
        /// The file's.
        keyring: String,
        /// The process's.
        process: String,
    },
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
}

/// What is wrong with the content of a keyring file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not a regular file, or larger than any keyring.
    #[error("not a regular file of at most {max_bytes} bytes")]
    NotAKeyring {
        /// The most that is read.
        max_bytes: u64,
    },
    /// The text is not UTF-8.
    #[error("not UTF-8 text")]
    NotText,
    /// The text is not TOML.
    #[error("not TOML: line {line}")]
    NotToml {
        /// Where reading stopped, from 1.
        line: usize,
    },
    /// The environment that it is for has no name.
    #[error("`environment` must be a name")]
    NoEnvironment,
    /// A table that is no purpose.
    #[error("unknown purpose [{name}]")]
    UnknownPurpose {
        /// Its name.
        name: String,
    },
    /// A key that is not part of a keyring.
    #[error("unknown key `{key}` in [{place}]")]
    UnknownKey {
        /// Its name.
        key: String,
        /// The table it is in.
        place: String,
    },
    /// A value that is absent or of another type.
    #[error("`{key}` in [{place}] must be {expected}")]
    Expected {
        /// The value's name.
        key: &'static str,
        /// The table it belongs to.
        place: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Two keys with one version.
    #[error("[{purpose}] has version {version} twice")]
    DuplicateVersion {
        /// What the keys are for.
        purpose: PurposeKind,
        /// The version.
        version: i32,
    },
    /// `current` names no key.
    #[error("[{purpose}] has no version {version}, which is `current`")]
    MissingCurrent {
        /// What the keys are for.
        purpose: PurposeKind,
        /// The version.
        version: i32,
    },
    /// The halves do not belong together.
    #[error("[{purpose}] version {version}: the private half does not belong to the public half")]
    Mismatch {
        /// What the key is for.
        purpose: PurposeKind,
        /// The version.
        version: i32,
    },
    /// A public half with which every key exchange gives the same secret.
    #[error("[{purpose}] version {version}: the public half is not a usable X25519 key")]
    WeakPublic {
        /// What the key is for.
        purpose: PurposeKind,
        /// The version.
        version: i32,
    },
}
