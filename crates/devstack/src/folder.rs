use std::fs::{DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Once;

use nix::unistd::Uid;
use tempfile::TempDir;

use crate::{Account, StartError};

/// Short, because a socket's path must stay under 108 bytes (104 on macOS): `$TMPDIR` may be
/// anything.
const BASE: &str = "/tmp";
const PREFIX: &str = "bulkhead-";
const LOCK: &str = "owner.lock";

/// A server's private folder (0700) with its sockets and, unless the caller names a place for them,
/// its data and log.
#[derive(Debug)]
pub(crate) struct ServerFolder {
    temporary: TempDir,
    kept: Option<PathBuf>,
    // Held as long as the owner lives, so that folders of killed processes can be told apart and
    // removed.
    _lock: File,
}

impl ServerFolder {
    /// `kept`: where data and log go and stay; it is made if it is missing.
    pub(crate) fn create(
        kept: Option<PathBuf>,
        account: Option<Account>,
    ) -> Result<Self, StartError> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(remove_abandoned);

        let failed = || StartError::prepare(format!("a folder in {BASE}"));
        let temporary = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(BASE)
            .map_err(failed())?;
        let lock = lock(temporary.path()).map_err(failed())?;
        give_to(temporary.path(), account)?;
        if let Some(path) = &kept {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(StartError::prepare(format!("folder {}", path.display())))?;
            give_to(path, account)?;
        }
        Ok(Self {
            temporary,
            kept,
            _lock: lock,
        })
    }

    /// For sockets and configuration.
    pub(crate) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// For data and log.
    pub(crate) fn data(&self) -> &Path {
        self.kept.as_deref().unwrap_or_else(|| self.path())
    }
}

fn give_to(path: &Path, account: Option<Account>) -> Result<(), StartError> {
    let Some(Account { uid, gid }) = account else {
        return Ok(());
    };
    std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(StartError::prepare(format!(
        "the owner of {}",
        path.display()
    )))
}

fn lock(folder: &Path) -> std::io::Result<File> {
    let unnamed = folder.join("owner.new");
    let file = File::create(&unnamed)?;
    file.lock()?;
    // Only now may a sweeper see it: one that could lock it would take the folder for abandoned.
    std::fs::rename(unnamed, folder.join(LOCK))?;
    Ok(file)
}

/// Removes what processes killed with SIGKILL left behind.
fn remove_abandoned() {
    let Ok(entries) = std::fs::read_dir(BASE) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_abandoned(folder: &Path) -> bool {
    let path = folder.join(LOCK);
    let ours = std::fs::symlink_metadata(&path)
        .is_ok_and(|lock| lock.is_file() && lock.uid() == Uid::effective().as_raw());
    ours && File::open(path).is_ok_and(|lock| lock.try_lock().is_ok())
}
