//! Bytes that read back in one way only: each field behind its length.

/// Fields, each preceded by its length as four bytes, big-endian.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<u8>);

impl Fields {
    /// Appends a field.
    ///
    /// A field of 4 GiB or more would not be told apart from a shorter one; the callers' fields are ids and short names.
    pub(crate) fn with(mut self, field: &[u8]) -> Self {
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
