use nix::unistd::{Uid, User};

use crate::StartError;

/// The system account a server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Primary group id; supplementary groups are dropped.
    pub gid: u32,
}

impl Account {
    /// The account for Postgres, which refuses to run as root: `postgres`, or `nobody` where that
    /// is missing.
    ///
    /// `None` when this process is not root: the server then runs as the same user.
    ///
    /// # Errors
    /// [`StartError::NoAccount`] when this process is root and neither account exists.
    pub fn for_postgres() -> Result<Option<Self>, StartError> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| {
                Some(Self {
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                })
            })
            .ok_or(StartError::NoAccount)
    }
}
