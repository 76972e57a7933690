//! Who may read the file. Checked on the open file, so that it cannot be exchanged in between.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use nix::{fcntl::OFlag, unistd::geteuid};
use zeroize::Zeroizing;

use crate::error::{KeyringError, Problem};

const MAX_BYTES: u64 = 64 * 1024;

/// The text of a file that belongs to this process's user and lets nobody else in.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyringError> {
    let failed = |source| KeyringError::Io {
        path: path.to_owned(),
        source,
    };
    let content = |problem| KeyringError::Content {
        path: path.to_owned(),
        problem,
    };
    // Non-blocking, so that a named pipe is refused below instead of waited for.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check(path, &metadata, geteuid().as_raw())?;
    let bytes = read_at_most(file).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(content(Problem::NotAKeyring {
            max_bytes: MAX_BYTES,
        }));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| content(Problem::NotText))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn check(path: &Path, metadata: &Metadata, user: u32) -> Result<(), KeyringError> {
    let path = path.to_owned();
    if !metadata.is_file() {
        let problem = Problem::NotAKeyring {
            max_bytes: MAX_BYTES,
        };
        return Err(KeyringError::Content { path, problem });
    }
    let owner = metadata.uid();
    if owner != user {
        return Err(KeyringError::ForeignOwner { path, owner, user });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o177 != 0 {
        return Err(KeyringError::LoosePermissions { path, mode });
    }
    Ok(())
}

/// Up to one byte more than is allowed, into memory that is never moved and overwritten at the end.
fn read_at_most(file: File) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let limit = MAX_BYTES + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(limit).unwrap_or(0)));
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
