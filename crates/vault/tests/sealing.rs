//! What one process seals, another opens, if it holds the key and names the same row.

#![allow(clippy::unwrap_used, reason = "a failure of a test is the point")]

use std::path::PathBuf;

use bulkhead_domain::{ConnectionId, TenantId};
use bulkhead_vault::{
    Access, AccessToken, AccessTokens, BuyerPii, ClientSecret, Context, DekId, Keyring,
    KeyringError, KeyringFile, Opener, PurposeKind, RefreshToken, RefreshTokens, Sealer,
};
use tempfile::TempDir;
use uuid::Uuid;

struct Keys {
    folder: TempDir,
    file: KeyringFile,
}

impl Keys {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            file: KeyringFile::generate().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn keyring(&self, name: &str, allowed: &[(PurposeKind, Access)], environment: &str) -> Keyring {
        let path = self.path(name);
        self.file.restricted_to(allowed).write(&path).unwrap();
        Keyring::load(&path, environment).unwrap()
    }

    fn tokens(&self) -> (Sealer<RefreshTokens>, Opener<RefreshTokens>) {
        let allowed = [(PurposeKind::RefreshTokens, Access::Open)];
        let keyring = self.keyring("all.toml", &allowed, "test");
        (keyring.sealer().unwrap(), keyring.opener().unwrap())
    }
}

fn row(record: &str) -> Context<'_> {
    Context {
        tenant: TenantId::new(Uuid::from_u128(1)),
        connection: Some(ConnectionId::new(Uuid::from_u128(2))),
        column: "refresh_tokens.sealed",
        record,
        schema_version: 1,
    }
}

#[test]
fn a_secret_comes_back_for_its_own_row() {
    let (sealer, opener) = Keys::new().tokens();
    let sealed = sealer.seal_secret(&row(""), b"Atzr|canary").unwrap();
    assert_eq!(sealed.ciphertext.len(), b"Atzr|canary".len() + 81);
    assert_eq!(sealed.dek.wrapped.len(), 81);
    let opened = opener.open_secret(&row(""), &sealed).unwrap();
    assert_eq!(
        RefreshToken::from_bytes(&opened).unwrap().expose_secret(),
        "Atzr|canary"
    );
}

#[test]
fn a_ciphertext_moved_to_another_row_does_not_open() {
    let (sealer, opener) = Keys::new().tokens();
    let row = row("record");
    let sealed = sealer.seal_secret(&row, b"Atzr|canary").unwrap();
    // Unwrapped for its owner, so that it is the ciphertext's own context that fails.
    let dek = opener
        .unwrap(row.tenant, &Uuid::from_u128(2).to_string(), &sealed.dek)
        .unwrap();
    assert!(dek.open(&row, &sealed.ciphertext).is_ok());
    let moved = [
        Context {
            tenant: TenantId::new(Uuid::from_u128(9)),
            ..row
        },
        Context {
            connection: Some(ConnectionId::new(Uuid::from_u128(9))),
            ..row
        },
        Context {
            connection: None,
            ..row
        },
        Context {
            column: "access_tokens.sealed",
            ..row
        },
        Context {
            record: "recorD",
            ..row
        },
        // The same bytes, cut elsewhere.
        Context {
            column: "refresh_tokens.sealedr",
            record: "ecord",
            ..row
        },
        Context {
            schema_version: 2,
            ..row
        },
    ];
    for context in moved {
        assert!(
            dek.open(&context, &sealed.ciphertext).is_err(),
            "{context:?}"
        );
    }
}

#[test]
fn a_wrapped_key_moved_to_another_owner_does_not_unwrap() {
    let (sealer, opener) = Keys::new().tokens();
    let tenant = TenantId::new(Uuid::from_u128(1));
    let (_, wrapped) = sealer.new_dek(tenant, "2026-11-24").unwrap();
    assert!(opener.unwrap(tenant, "2026-11-24", &wrapped).is_ok());
    assert!(opener.unwrap(tenant, "2026-11-25", &wrapped).is_err());
    let other = TenantId::new(Uuid::from_u128(9));
    assert!(opener.unwrap(other, "2026-11-24", &wrapped).is_err());

    let mut swapped = wrapped.clone();
    swapped.dek_id = DekId::new(wrapped.dek_id.get() ^ 1).unwrap();
    assert!(opener.unwrap(tenant, "2026-11-24", &swapped).is_err());
    let mut swapped = wrapped.clone();
    swapped.kek_id.push('x');
    assert!(opener.unwrap(tenant, "2026-11-24", &swapped).is_err());
    let mut swapped = wrapped.clone();
    swapped.kek_version += 1;
    assert!(opener.unwrap(tenant, "2026-11-24", &swapped).is_err());
}

#[test]
fn a_changed_or_shortened_wrapped_key_does_not_unwrap() {
    let (sealer, opener) = Keys::new().tokens();
    let tenant = TenantId::new(Uuid::from_u128(1));
    let (_, wrapped) = sealer.new_dek(tenant, "owner").unwrap();
    for index in 0..wrapped.wrapped.len() {
        let mut bad = wrapped.clone();
        bad.wrapped[index] ^= 1;
        assert!(
            opener.unwrap(tenant, "owner", &bad).is_err(),
            "byte {index}"
        );
        bad.wrapped.truncate(index);
        assert!(
            opener.unwrap(tenant, "owner", &bad).is_err(),
            "length {index}"
        );
    }
}

#[test]
fn two_secrets_of_one_connection_cannot_be_exchanged() {
    let (sealer, opener) = Keys::new().tokens();
    let mut one = sealer.seal_secret(&row(""), b"old").unwrap();
    let two = sealer.seal_secret(&row(""), b"new").unwrap();
    one.ciphertext = two.ciphertext;
    assert!(opener.open_secret(&row(""), &one).is_err());
}

#[test]
fn what_was_sealed_in_one_environment_does_not_open_in_another() {
    let keys = Keys::new();
    let allowed = [(PurposeKind::AccessTokens, Access::Open)];
    let staging = keys.keyring("staging.toml", &allowed, "staging");
    let production = keys.keyring("production.toml", &allowed, "production");
    let sealed = staging
        .sealer::<AccessTokens>()
        .unwrap()
        .seal_secret(&row(""), b"Atza|")
        .unwrap();
    let opener = production.opener::<AccessTokens>().unwrap();
    assert!(opener.open_secret(&row(""), &sealed).is_err());
}

#[test]
fn a_process_with_the_public_half_seals_what_only_the_private_half_opens() {
    let keys = Keys::new();
    let sync = keys.keyring(
        "sync.toml",
        &[(PurposeKind::BuyerPii, Access::SealOnly)],
        "test",
    );
    let (dek, wrapped) = sync
        .sealer::<BuyerPii>()
        .unwrap()
        .new_dek(row("").tenant, "2026-11-24")
        .unwrap();
    let ciphertext = dek.seal(&row("111-1"), b"Jane Canary").unwrap();
    let refusal = sync.opener::<BuyerPii>().unwrap_err();
    assert!(
        matches!(refusal, KeyringError::SealOnly { .. }),
        "{refusal}"
    );
    let refusal = sync.sealer::<RefreshTokens>().unwrap_err();
    assert!(
        matches!(refusal, KeyringError::MissingPurpose { .. }),
        "{refusal}"
    );

    let holder = keys.keyring(
        "holder.toml",
        &[(PurposeKind::BuyerPii, Access::Open)],
        "test",
    );
    let opener = holder.opener::<BuyerPii>().unwrap();
    let dek = opener
        .unwrap(row("").tenant, "2026-11-24", &wrapped)
        .unwrap();
    assert_eq!(
        *dek.open(&row("111-1"), &ciphertext).unwrap(),
        b"Jane Canary"
    );
}

#[test]
fn nothing_that_holds_a_secret_shows_it() {
    let keys = Keys::new();
    let (sealer, opener) = keys.tokens();
    let (dek, _) = sealer.new_dek(row("").tenant, "owner").unwrap();
    let text = std::fs::read_to_string(keys.path("all.toml")).unwrap();
    let private = text.split("private = \"").nth(1).unwrap();
    let private = private.split('"').next().unwrap();
    let shown = format!(
        "{:?} {:?} {:?} {dek:?} {sealer:?} {opener:?} {:?} {:?}",
        RefreshToken::new("canary".into()),
        AccessToken::new("canary".into()),
        ClientSecret::new("canary".into()),
        keys.file,
        Keyring::load(&keys.path("all.toml"), "test").unwrap(),
    );
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!shown.contains(private), "{shown}");
    assert_eq!(shown.matches("[redacted]").count(), 5, "{shown}");
}
