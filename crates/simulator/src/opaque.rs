//! Paging tokens: opaque to clients, refused when altered.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use crate::dice;

/// `content` as an opaque token of the simulator with this seed.
pub(crate) fn seal(seed: u64, content: &impl Serialize) -> String {
    let mut bytes = serde_json::to_vec(content).unwrap_or_default();
    bytes.extend(dice::checksum(seed, &bytes).to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The content of a token; `None` if it is altered or another simulator's.
pub(crate) fn open<T: DeserializeOwned>(seed: u64, token: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (content, checksum) = bytes.split_last_chunk::<8>()?;
    let genuine = dice::checksum(seed, content).to_be_bytes() == *checksum;
    genuine
        .then(|| serde_json::from_slice(content).ok())
        .flatten()
}
