//! Names of keys. Every key of a shard begins with its hash tag, so that a script's keys share a slot.

use bulkhead_domain::Class;

/// `{sync.3}`: the hash tag of a class's shard, and the prefix of its keys. The rest of each name stands in
/// `lua/lane.lua` and, for the few that are read without a script, here.
#[derive(Debug, Clone)]
pub(crate) struct ShardKey {
    tag: String,
    #[cfg(feature = "mutants")]
    mutant: Option<&'static str>,
}

impl ShardKey {
    pub(crate) fn new(class: Class, shard: u16) -> Self {
        Self {
            tag: format!("{{{class}.{shard}}}"),
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// The same keys, whose scripts do without a guard.
    #[cfg(feature = "mutants")]
    pub(crate) fn without(self, mutant: Option<&'static str>) -> Self {
        Self { mutant, ..self }
    }

    #[cfg(feature = "mutants")]
    pub(crate) const fn mutant(&self) -> Option<&'static str> {
        self.mutant
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// A second key that never exists; `script.rs` says what for.
    pub(crate) fn whole(&self) -> String {
        self.key("whole")
    }

    /// The shard's key called `name`.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.tag)
    }

    /// The list of one lane's jobs of one priority.
    pub(crate) fn queue(&self, connection: &[u8], priority: u8) -> Vec<u8> {
        [self.tag.as_bytes(), b":queue:", connection, &[priority]].concat()
    }

    /// The list of those that come before it while it is swept.
    pub(crate) fn front(&self, connection: &[u8], priority: u8) -> Vec<u8> {
        [self.tag.as_bytes(), b":front:", connection, &[priority]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_shard_carries_its_tag() {
        let shard = ShardKey::new(Class::Sync, 3);
        assert_eq!(shard.tag(), "{sync.3}");
        assert_eq!(shard.key("jobs"), "{sync.3}:jobs");
        assert_eq!(shard.queue(b"abc", b'5'), b"{sync.3}:queue:abc5");
        assert_eq!(shard.front(b"abc", b'5'), b"{sync.3}:front:abc5");
    }
}
