//! Wrapping a data key to a public key: HPKE (RFC 9180), X25519, HKDF-SHA-256, AES-256-GCM.
//!
//! Whoever holds the public half can wrap; only the private half unwraps. What a wrapped key belongs to is bound by HPKE's `info`.

use bulkhead_domain::TenantId;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256,
    kem::X25519HkdfSha256, rand_core::UnwrapErr, single_shot_open, single_shot_seal_with_rng,
};
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use crate::{
    envelope::RawKey,
    error::{OpenFailure, SealError},
    fields::Fields,
};

pub(crate) type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
pub(crate) type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

const VERSION: u8 = 0x01;
const ENCAPSULATED: usize = 32;
const WRAPPED: usize = 1 + ENCAPSULATED + 32 + 16;
const LABEL: &[u8] = b"bulkhead/vault/wrap/v1";

/// What a wrapped data key belongs to.
pub(crate) struct Binding<'a> {
    pub(crate) environment: &'a str,
    pub(crate) purpose: &'static str,
    pub(crate) tenant: TenantId,
    pub(crate) owner: &'a str,
    pub(crate) dek_id: i64,
    pub(crate) kek_id: &'a str,
    pub(crate) kek_version: i32,
}

impl Binding<'_> {
    fn encode(&self) -> Vec<u8> {
        Fields::default()
            .with(LABEL)
            .with(self.environment.as_bytes())
            .with(self.purpose.as_bytes())
            .with(self.tenant.uuid().as_bytes())
            .with(self.owner.as_bytes())
            .with(&self.dek_id.to_be_bytes())
            .with(self.kek_id.as_bytes())
            .with(&self.kek_version.to_be_bytes())
            .into_bytes()
    }
}

/// Version byte, encapsulated key, ciphertext and tag.
pub(crate) fn wrap(
    public: &PublicKey,
    binding: &Binding<'_>,
    dek: &RawKey,
) -> Result<Vec<u8>, SealError> {
    let (encapsulated, ciphertext) =
        single_shot_seal_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            public,
            &binding.encode(),
            dek.as_slice(),
            &[],
            &mut UnwrapErr(SysRng),
        )
        .map_err(|_| SealError::Rejected)?;
    let mut wrapped = Vec::with_capacity(WRAPPED);
    wrapped.push(VERSION);
    wrapped.extend_from_slice(&encapsulated.to_bytes());
    wrapped.extend_from_slice(&ciphertext);
    Ok(wrapped)
}

/// The data key, if it was wrapped to this key and for exactly this binding.
pub(crate) fn unwrap(
    private: &PrivateKey,
    binding: &Binding<'_>,
    wrapped: &[u8],
) -> Result<RawKey, OpenFailure> {
    if wrapped.len() != WRAPPED || wrapped[0] != VERSION {
        return Err(OpenFailure::Malformed);
    }
    let (encapsulated, ciphertext) = wrapped[1..].split_at(ENCAPSULATED);
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated)
        .map_err(|_| OpenFailure::Malformed)?;
    let plain = single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        private,
        &encapsulated,
        &binding.encode(),
        ciphertext,
        &[],
    )
    .map(Zeroizing::new)
    .map_err(|_| OpenFailure::Tag)?;
    let mut dek = Zeroizing::new([0; 32]);
    dek.copy_from_slice(&plain);
    Ok(dek)
}

/// A fresh key pair.
pub(crate) fn generate() -> (PrivateKey, PublicKey) {
    X25519HkdfSha256::gen_keypair_with_rng(&mut UnwrapErr(SysRng))
}

/// The public half that belongs to a private one.
pub(crate) fn public_of(private: &PrivateKey) -> PublicKey {
    X25519HkdfSha256::sk_to_pk(private)
}

/// The 32 bytes as a public key; `None` for a key with which every exchange gives the same secret.
pub(crate) fn public_from(bytes: &[u8; 32]) -> Option<PublicKey> {
    let public = PublicKey::from_bytes(bytes).ok()?;
    let binding = Binding {
        environment: "",
        purpose: "",
        tenant: TenantId::new(uuid::Uuid::nil()),
        owner: "",
        dek_id: 0,
        kek_id: "",
        kek_version: 0,
    };
    wrap(&public, &binding, &Zeroizing::new([0; 32])).ok()?;
    Some(public)
}

/// The 32 bytes as a private key.
pub(crate) fn private_from(bytes: &[u8; 32]) -> Option<PrivateKey> {
    PrivateKey::from_bytes(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Frozen: what was wrapped once must unwrap. The file was computed by `tests/wrap_v1.py`.
    #[test]
    fn the_frozen_wrapped_keys_unwrap_for_their_own_binding_only() {
        let vectors: Value =
            serde_json::from_str(include_str!("../tests/vectors/wrap_v1.json")).unwrap();
        let vectors = vectors["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 4);
        for vector in vectors {
            let fields = &vector["binding"];
            let text = |field: &str| fields[field].as_str().unwrap();
            let binding = || Binding {
                environment: text("environment"),
                purpose: text("purpose").to_owned().leak(),
                tenant: text("tenant").parse().unwrap(),
                owner: text("owner"),
                dek_id: fields["dek_id"].as_i64().unwrap(),
                kek_id: text("kek_id"),
                kek_version: i32::try_from(fields["kek_version"].as_i64().unwrap()).unwrap(),
            };
            let private = PrivateKey::from_bytes(&bytes(vector, "private")).unwrap();
            let wrapped = bytes(vector, "wrapped");
            let dek = unwrap(&private, &binding(), &wrapped).unwrap();
            assert_eq!(dek.as_slice(), bytes(vector, "dek"));
            for other in others(binding) {
                let failure = unwrap(&private, &other, &wrapped).unwrap_err();
                assert_eq!(failure, OpenFailure::Tag);
            }
        }
    }

    /// The binding with each of its fields changed.
    fn others<'a>(binding: impl Fn() -> Binding<'a>) -> [Binding<'a>; 7] {
        let changed = |change: fn(&mut Binding<'a>)| {
            let mut other = binding();
            change(&mut other);
            other
        };
        [
            changed(|other| other.environment = "staging"),
            changed(|other| other.purpose = "other"),
            changed(|other| other.tenant = TenantId::new(uuid::Uuid::nil())),
            changed(|other| other.owner = "other"),
            changed(|other| other.dek_id ^= 1),
            changed(|other| other.kek_id = "other"),
            changed(|other| other.kek_version += 1),
        ]
    }

    fn bytes(vector: &Value, field: &str) -> Vec<u8> {
        let hex = vector[field].as_str().unwrap();
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }
}
