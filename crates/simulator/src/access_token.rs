//! Access tokens: `Atza|…` for a seller, with everything that must be known about it inside.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{clock::UnixMs, dice};

/// How long an access token or restricted data token lives at Amazon.
pub(crate) const LIFETIME_S: f64 = 3_600.0;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessToken {
    pub(crate) application: u16,
    /// `None` for grantless tokens (`client_credentials`).
    pub(crate) seller: Option<u32>,
    /// The seller's generation of tokens when it was issued; see `Grant`.
    pub(crate) generation: u32,
    pub(crate) expires: UnixMs,
}

/// Makes and reads tokens; those of another seed are not read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mint {
    seed: u64,
}

const GRANTLESS: u32 = u32::MAX;

impl Mint {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The token in Amazon's form. Two tokens for the same grant differ.
    pub(crate) fn write(self, token: &AccessToken) -> String {
        let mut bytes = Vec::with_capacity(46);
        bytes.extend(token.application.to_be_bytes());
        bytes.extend(token.seller.unwrap_or(GRANTLESS).to_be_bytes());
        bytes.extend(token.generation.to_be_bytes());
        bytes.extend(token.expires.to_be_bytes());
        bytes.extend(Uuid::new_v4().as_bytes());
        bytes.extend(dice::checksum(self.seed, &bytes).to_be_bytes());
        format!("Atza|{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What `text` says; `None` if this simulator did not make it.
    pub(crate) fn read(self, text: &str) -> Option<AccessToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix("Atza|")?).ok()?;
        let (body, checksum) = bytes.split_last_chunk::<8>()?;
        if dice::checksum(self.seed, body).to_be_bytes() != *checksum {
            return None;
        }
        let (application, rest) = body.split_first_chunk::<2>()?;
        let (seller, rest) = rest.split_first_chunk::<4>()?;
        let (generation, rest) = rest.split_first_chunk::<4>()?;
        let (expires, _) = rest.split_first_chunk::<8>()?;
        Some(AccessToken {
            application: u16::from_be_bytes(*application),
            seller: Some(u32::from_be_bytes(*seller)).filter(|seller| *seller != GRANTLESS),
            generation: u32::from_be_bytes(*generation),
            expires: i64::from_be_bytes(*expires),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_an_altered_one_does_not() {
        let mint = Mint::new(4);
        let token = AccessToken {
            application: 3,
            seller: Some(7),
            generation: 10,
            expires: 20,
        };
        let written = mint.write(&token);
        assert_eq!(mint.read(&written), Some(token));
        assert_eq!(Mint::new(5).read(&written), None);
        assert_eq!(mint.read(&written.replace("Atza|A", "Atza|B")), None);
    }
}
