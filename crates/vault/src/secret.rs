//! Secrets in clear, of which no log, error or page can show the text.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// What was decrypted is not text; its bytes are not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a decrypted secret is not UTF-8")]
pub struct NotText;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Takes the text; the memory is overwritten when the secret is dropped.
            #[must_use]
            pub fn new(text: String) -> Self {
                Self(text.into())
            }

            /// Takes what [`Opener::open_secret`](crate::Opener::open_secret) returned.
            ///
            /// # Errors
            /// [`NotText`]: what was sealed was not this kind of secret.
            pub fn from_bytes(bytes: &Zeroizing<Vec<u8>>) -> Result<Self, NotText> {
                let text = std::str::from_utf8(bytes).map_err(|_| NotText)?;
                Ok(Self(text.into()))
            }

            /// The text, for the request being sent and for nothing else.
            #[must_use]
            pub fn expose_secret(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}

secret!(
    /// A seller's grant to an application; it ends when the seller ends it.
    RefreshToken
);
secret!(
    /// What a call to Amazon carries; lives an hour.
    AccessToken
);
secret!(
    /// What proves an application to Login with Amazon; lives 180 days.
    ClientSecret
);
