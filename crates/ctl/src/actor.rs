//! Who does it, as the audit log says. Which database login wrote the event is recorded beside it, and not ours to choose.

use nix::unistd::{Uid, User, gethostname};

/// `user@host` of this process. By `--actor` people say who they are where a machine is shared.
#[must_use]
pub fn of_this_process() -> String {
    let uid = Uid::current();
    let user = User::from_uid(uid).ok().flatten();
    let user = user.map_or_else(|| format!("uid {uid}"), |user| user.name);
    let host = gethostname().ok().and_then(|host| host.into_string().ok());
    match host {
        Some(host) => format!("{user}@{host}"),
        None => user,
    }
}

/// Takes an actor's name; for clap.
///
/// # Errors
/// It is empty, or could not be shown.
pub fn named(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err("must say who you are".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_an_actor() {
        assert!(named(&of_this_process()).is_ok());
    }

    #[test]
    fn nobody_is_not_an_actor() {
        assert!(named(" ").is_err());
        assert!(named("alice\n").is_err());
    }
}
