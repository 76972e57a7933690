use std::fmt::Write as _;

/// A login in a private Redis, with a random password. A server that is given any has no login without a password.
#[derive(Clone)]
pub struct RedisUser {
    name: String,
    rules: String,
    password: String,
}

impl RedisUser {
    /// The user that a line of an ACL file describes: `user NAME RULE …`.
    #[must_use]
    pub fn of_acl(line: &str) -> Self {
        let words = line.trim();
        let words = words.strip_prefix("user ").unwrap_or(words);
        let (name, rules) = words.split_once(' ').unwrap_or((words, ""));
        Self {
            name: name.to_owned(),
            rules: rules.to_owned(),
            password: random(),
        }
    }

    /// Who may do everything, as the default user of a server without logins.
    pub(crate) fn admin() -> Self {
        Self::of_acl("user admin on ~* &* +@all")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The line of `redis.conf`.
    pub(crate) fn line(&self) -> String {
        format!("user {} {} >{}", self.name, self.rules, self.password)
    }
}

impl std::fmt::Debug for RedisUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisUser")
            .field("name", &self.name)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// 256 bits, in letters and digits.
fn random() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
