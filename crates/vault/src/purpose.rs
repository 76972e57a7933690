//! What a key is for, in the type: a key for buyers' data cannot open a token.

use std::{fmt, str::FromStr};

/// Every purpose, for places where the type is lost: the keyring file and the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PurposeKind {
    /// Sellers' refresh tokens.
    RefreshTokens,
    /// Sellers' access tokens.
    AccessTokens,
    /// Applications' client secrets.
    ClientSecrets,
    /// Buyers' personal data.
    BuyerPii,
}

impl PurposeKind {
    /// Every purpose, in the order in which a keyring file lists them.
    pub const ALL: [Self; 4] = [
        Self::RefreshTokens,
        Self::AccessTokens,
        Self::ClientSecrets,
        Self::BuyerPii,
    ];

    /// The purpose as it stands in the keyring file; part of what a wrapped key is bound to.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefreshTokens => "refresh_tokens",
            Self::AccessTokens => "access_tokens",
            Self::ClientSecrets => "client_secrets",
            Self::BuyerPii => "buyer_pii",
        }
    }
}

impl fmt::Display for PurposeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PurposeKind {
    type Err = UnknownPurpose;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        known.ok_or_else(|| UnknownPurpose(name.to_owned()))
    }
}

/// A name that is no purpose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown purpose `{0}`")]
pub struct UnknownPurpose(pub String);

/// A purpose as a type.
pub trait Purpose: Send + Sync + 'static {
    /// Which of the purposes it is.
    const KIND: PurposeKind;
    /// Its name, as in the keyring file.
    const NAME: &'static str = Self::KIND.as_str();
}

macro_rules! purpose {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl Purpose for $name {
            const KIND: PurposeKind = PurposeKind::$name;
        }
    };
}

purpose!(
    /// Sellers' refresh tokens: opened by the token worker only.
    RefreshTokens
);
purpose!(
    /// Sellers' access tokens: sealed by the token worker, opened by the sync worker.
    AccessTokens
);
purpose!(
    /// Applications' client secrets: opened by the token worker only.
    ClientSecrets
);
purpose!(
    /// Buyers' personal data: sealed by the sync worker, opened by no process of the fleet.
    BuyerPii
);
