//! The attack that the commitment is there for: one AES-GCM ciphertext that opens under two keys.
//!
//! GCM's tag is a polynomial in H, which follows from the key. One block of ciphertext is free, so that the tags under two keys can be made
//! equal by solving one linear equation in GF(2¹²⁸).

use super::*;

#[test]
fn a_ciphertext_made_to_open_under_two_keys_opens_under_one() {
    let context = b"context";
    let [one, two] = [Zeroizing::new([1; 32]), Zeroizing::new([2; 32])];
    let forged = forge(&one, &two, context);

    // Without the commitment both keys open it: the forgery is real.
    let parts = Parts::read(&forged).unwrap();
    for dek in [&one, &two] {
        let keys = MessageKeys::derive(dek, parts.dek_id, &parts.salt, context);
        assert_eq!(keys.decrypt(&parts).unwrap().len(), 32);
    }
    // With it, only the key that the header commits to.
    assert!(open(&one, 5, context, &forged).is_ok());
    assert_eq!(
        open(&two, 5, context, &forged).unwrap_err(),
        OpenFailure::Commitment
    );
}

/// A ciphertext of two blocks whose tag is right under both keys; its header commits to `one`.
fn forge(one: &RawKey, two: &RawKey, context: &[u8]) -> Vec<u8> {
    let salt = [3; SALT];
    let keys = [one, two].map(|dek| MessageKeys::derive(dek, 5, &salt, context));
    let mut forged = vec![VERSION];
    forged.extend_from_slice(&5_i64.to_be_bytes());
    forged.extend_from_slice(&salt);
    forged.extend_from_slice(keys[0].commitment());

    let first_block = [0xaa; 16];
    let mut blocks: Vec<u128> = forged.chunks(16).map(padded).collect();
    blocks.push(u128::from_be_bytes(first_block));
    blocks.push(0); // the free block
    blocks.push((65 * 8) << 64 | (32 * 8)); // lengths in bits

    let [(mask_one, h_one), (mask_two, h_two)] = keys.each_ref().map(hash_key);
    let difference = mask_one ^ mask_two ^ ghash(h_one, &blocks) ^ ghash(h_two, &blocks);
    let weight = multiply(h_one, h_one) ^ multiply(h_two, h_two);
    let free = multiply(difference, inverse(weight));
    let at = blocks.len() - 2;
    blocks[at] = free;
    let tag = mask_one ^ ghash(h_one, &blocks);

    forged.extend_from_slice(&first_block);
    forged.extend_from_slice(&free.to_be_bytes());
    forged.extend_from_slice(&tag.to_be_bytes());
    forged
}

/// The mask of the tag and H, recovered from two tags: that of nothing is the mask, that of one zero block of data is mask ⊕ length·H.
fn hash_key(keys: &MessageKeys) -> (u128, u128) {
    let tag_of = |data: &[u8]| {
        let key = keys.cipher().unwrap();
        let tag = key.seal_in_place_separate_tag(zero_nonce(), Aad::from(data), &mut []);
        u128::from_be_bytes(tag.unwrap().as_ref().try_into().unwrap())
    };
    let mask = tag_of(&[]);
    let length = 128_u128 << 64;
    let h = multiply(tag_of(&[0; 16]) ^ mask, inverse(length));
    (mask, h)
}

fn ghash(h: u128, blocks: &[u128]) -> u128 {
    blocks.iter().fold(0, |sum, block| multiply(sum ^ block, h))
}

/// Multiplication in GF(2¹²⁸) with GCM's bit order (NIST SP 800-38D, 6.3).
fn multiply(x: u128, y: u128) -> u128 {
    let (mut product, mut v) = (0, y);
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            product ^= v;
        }
        let carry = v & 1;
        v >>= 1;
        if carry == 1 {
            v ^= 0xe1 << 120;
        }
    }
    product
}

/// x to the power of 2¹²⁸ − 2.
fn inverse(x: u128) -> u128 {
    let (mut result, mut square) = (1_u128 << 127, x);
    for _ in 1..128 {
        square = multiply(square, square);
        result = multiply(result, square);
    }
    result
}

fn padded(chunk: &[u8]) -> u128 {
    let mut block = [0; 16];
    block[..chunk.len()].copy_from_slice(chunk);
    u128::from_be_bytes(block)
}
