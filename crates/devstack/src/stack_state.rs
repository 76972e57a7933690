use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

/// What runs and where: left in a file by a dev stack that is up, read by the commands that look
/// into it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackState {
    /// The superuser's URL of the stack's database.
    pub postgres_url: String,
    /// The URL of its Redis.
    pub redis_url: String,
    /// Process ids by name; the process that keeps the stack up is `devstack`.
    pub processes: BTreeMap<String, u32>,
    /// Further URLs by name: health ports, the simulator.
    #[serde(default)]
    pub urls: BTreeMap<String, String>,
    /// Where logs and data are kept, if they are.
    #[serde(default)]
    pub folder: Option<PathBuf>,
}

/// Why the state of the stack could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StackStateError {
    /// Start a stack first.
    #[error("no dev stack is up: start one with `./dev up` or `./dev demo --keep`")]
    NotUp,
    /// The folder could have been made by somebody else, to lead us to their servers.
    #[error("{} must be a folder of this user with mode 0700", folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl StackState {
    /// `$XDG_RUNTIME_DIR/bulkhead-dev-<uid>/stack.json`, or the same below `/tmp`.
    pub fn path() -> PathBuf {
        let base = std::env::var_os("XDG_RUNTIME_DIR")
            .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        base.join(format!("bulkhead-dev-{}", Uid::effective()))
            .join("stack.json")
    }

    /// The state of the stack that is up.
    ///
    /// # Errors
    /// [`StackStateError::NotUp`], also when the process that kept it up was killed.
    pub fn read() -> Result<Self, StackStateError> {
        let path = Self::path();
        if !path.exists() {
            return Err(StackStateError::NotUp);
        }
        check_folder(&path)?;
        let text = std::fs::read(&path).map_err(at(&path))?;
        let state: Self = serde_json::from_slice(&text)
            .map_err(io::Error::from)
            .map_err(at(&path))?;
        if state.is_up() {
            Ok(state)
        } else {
            Err(StackStateError::NotUp)
        }
    }

    /// Replaces the file, readable by this user only.
    ///
    /// # Errors
    /// [`StackStateError`].
    pub fn write(&self) -> Result<(), StackStateError> {
        let path = Self::path();
        make_folder(&path)?;
        let unnamed = path.with_extension("new");
        let replace = || {
            let mut file = File::create(&unnamed)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            std::fs::rename(&unnamed, &path)
        };
        replace().map_err(at(&path))
    }

    /// Removes the file if it is still this stack's.
    pub fn remove(&self) {
        if Self::read().is_ok_and(|current| current.processes == self.processes) {
            let _ = std::fs::remove_file(Self::path());
        }
    }

    fn is_up(&self) -> bool {
        let keeper = self.processes.get("devstack");
        keeper.is_none_or(|pid| {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), None).is_ok()
        })
    }
}

fn make_folder(path: &Path) -> Result<(), StackStateError> {
    let folder = path.parent().unwrap_or(path);
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(folder)(error)),
        _ => check_folder(path),
    }
}

fn check_folder(path: &Path) -> Result<(), StackStateError> {
    let folder = path.parent().unwrap_or(path);
    let found = std::fs::symlink_metadata(folder).map_err(at(folder))?;
    let ours =
        found.is_dir() && found.uid() == Uid::effective().as_raw() && found.mode() & 0o077 == 0;
    ours.then_some(()).ok_or_else(|| StackStateError::Foreign {
        folder: folder.to_owned(),
    })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StackStateError {
    let path = path.to_owned();
    move |source| StackStateError::File { path, source }
}
