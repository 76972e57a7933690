//! Each class's own login in Redis, as in production.

use std::collections::BTreeMap;

use crate::RedisUser;

macro_rules! acl {
    ($($class:literal),*) => {
        [$(($class, include_str!(concat!("../../../../deploy/identities/", $class, "/redis.acl")))),*]
    };
}

/// The files under `deploy/identities`.
const IDENTITIES: [(&str, &str); 4] = acl!["operator", "scheduler", "sync", "token"];

/// The logins of one fleet; passwords are its own.
#[derive(Debug)]
pub struct RedisLogins(BTreeMap<&'static str, RedisUser>);

impl RedisLogins {
    pub(super) fn new() -> Self {
        let users = IDENTITIES.map(|(class, line)| (class, RedisUser::of_acl(line)));
        Self(users.into())
    }

    pub(super) fn users(&self) -> Vec<RedisUser> {
        self.0.values().cloned().collect()
    }

    /// The login of a class.
    ///
    /// # Panics
    /// There is no such class.
    #[must_use]
    pub fn of(&self, class: &str) -> &RedisUser {
        &self.0[class]
    }

    /// All passwords.
    pub fn passwords(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(RedisUser::password)
    }
}
