//! Envelope encryption, key providers and secret types: where a secret may be in clear.
//!
//! A *data key* (DEK) seals one owner's values: a connection's credential, or a tenant's buyer data of one day. A *key-encryption key*
//! (KEK) per purpose wraps data keys. The KEK is a key pair, so that a process which only seals holds no key that opens. The layout of both
//! is in this crate's `README.md`.
//!
//! | module | noun |
//! |---|---|
//! | [`purpose`] | what a key is for, in the type |
//! | [`keyring`] | the keys of one process, read from a file that only it may read |
//! | [`keyring_file`] | that file: generated, restricted to what a class needs, written |
//! | [`sealer`] | makes data keys and seals; the public half suffices |
//! | [`opener`] | unwraps data keys and opens; needs the private half |
//! | [`dek`] | one data key, in clear and wrapped |
//! | [`context`] | the row that a ciphertext belongs to |
//! | [`secret`] | tokens and client secrets that no log can show |
//! | [`error`] | one error outside, kinds for metrics inside |

pub mod context;
pub mod dek;
mod envelope;
pub mod error;
mod fields;
pub mod keyring;
pub mod keyring_file;
pub mod opener;
pub mod purpose;
pub mod sealer;
pub mod secret;
mod wrap;

pub use context::Context;
pub use dek::{Dek, DekId, Opens, Seals, WrappedDek};
pub use error::{KeyringError, OpenError, SealError};
pub use keyring::Keyring;
pub use keyring_file::{Access, KeyringFile};
pub use opener::Opener;
pub use purpose::{AccessTokens, BuyerPii, ClientSecrets, Purpose, PurposeKind, RefreshTokens};
pub use sealer::{Sealed, Sealer};
pub use secret::{AccessToken, ClientSecret, RefreshToken};
pub use zeroize::Zeroizing;
