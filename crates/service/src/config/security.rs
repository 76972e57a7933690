use super::reader::Reader;

/// `[security]`: exceptions from what is refused by default.
#[derive(Debug, Clone)]
pub struct Security {
    /// Hosts on a private network that may be spoken to without TLS.
    pub allow_plaintext_hosts: Vec<String>,
}

impl Security {
    pub(super) fn read(reader: &mut Reader) -> Security {
        Security {
            allow_plaintext_hosts: reader.list("security.allow_plaintext_hosts"),
        }
    }
}
