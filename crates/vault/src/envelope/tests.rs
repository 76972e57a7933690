use bulkhead_domain::{ConnectionId, TenantId};
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::Context;

const DEK_ID: i64 = 0x0123_4567_89ab_cdef;

fn dek() -> RawKey {
    Zeroizing::new([7; 32])
}

fn sealed(plaintext: &[u8]) -> Vec<u8> {
    seal_with_salt(&dek(), DEK_ID, &[9; SALT], b"context", plaintext).unwrap()
}

#[test]
fn every_length_comes_back_and_is_81_bytes_longer() {
    for length in (0..70).chain([1_000, 65_536]) {
        let plain = vec![0x5a; length];
        let sealed = sealed(&plain);
        assert_eq!(sealed.len(), length + 81);
        assert_eq!(
            *open(&dek(), DEK_ID, b"context", &sealed).unwrap(),
            plain,
            "length {length}"
        );
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_for_the_expected_reason() {
    let good = sealed(b"Atzr|refresh-token");
    for index in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[index] ^= 1 << bit;
            let expected = match index {
                0 => OpenFailure::Malformed,
                1..9 => OpenFailure::UnknownKey,
                9..65 => OpenFailure::Commitment,
                _ => OpenFailure::Tag,
            };
            let failure = open(&dek(), DEK_ID, b"context", &bad).unwrap_err();
            assert_eq!(failure, expected, "byte {index}, bit {bit}");
        }
    }
}

#[test]
fn every_truncation_and_extension_is_noticed() {
    let good = sealed(b"Atzr|refresh-token");
    for length in 0..good.len() {
        assert!(open(&dek(), DEK_ID, b"context", &good[..length]).is_err());
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(
        open(&dek(), DEK_ID, b"context", &longer).unwrap_err(),
        OpenFailure::Tag
    );
}

#[test]
fn another_key_or_another_context_fails_at_the_commitment() {
    let good = sealed(b"Atzr|refresh-token");
    let other = Zeroizing::new([8; 32]);
    for failure in [
        open(&other, DEK_ID, b"context", &good).unwrap_err(),
        open(&dek(), DEK_ID, b"contexu", &good).unwrap_err(),
        open(&dek(), DEK_ID, b"", &good).unwrap_err(),
    ] {
        assert_eq!(failure, OpenFailure::Commitment);
    }
}

/// Frozen: what version 1 sealed once must open for as long as version 1 is read. The file was computed by `tests/envelope_v1.py`.
#[test]
fn the_frozen_vectors_are_what_this_code_seals_and_opens() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../tests/vectors/envelope_v1.json")).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 5);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let dek = Zeroizing::new(<[u8; 32]>::try_from(bytes(vector, "dek")).unwrap());
        let dek_id = i64::from_be_bytes(bytes(vector, "dek_id").try_into().unwrap());
        let salt = <[u8; SALT]>::try_from(bytes(vector, "salt")).unwrap();
        let plain = bytes(vector, "plaintext");
        let context = context_of(vector);
        assert_eq!(context, bytes(vector, "context"), "{name}: the context");
        let sealed = seal_with_salt(&dek, dek_id, &salt, &context, &plain).unwrap();
        assert_eq!(sealed, bytes(vector, "sealed"), "{name}: the ciphertext");
        assert_eq!(*open(&dek, dek_id, &context, &sealed).unwrap(), plain);
    }
}

fn context_of(vector: &Value) -> Vec<u8> {
    let fields = &vector["context_fields"];
    let column: &'static str = fields["column"].as_str().unwrap().to_owned().leak();
    let id = |field: &str| fields[field].as_str().map(|id| id.parse::<Uuid>().unwrap());
    Context {
        tenant: TenantId::new(id("tenant").unwrap()),
        connection: id("connection").map(ConnectionId::new),
        column,
        record: fields["record"].as_str().unwrap(),
        schema_version: u16::try_from(fields["schema_version"].as_u64().unwrap()).unwrap(),
    }
    .encode(fields["environment"].as_str().unwrap())
}

fn bytes(vector: &Value, field: &str) -> Vec<u8> {
    let hex = vector[field].as_str().unwrap();
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}
