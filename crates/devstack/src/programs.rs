use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::StartError;

/// The folder with `postgres` and `initdb`: that of `PATH`, or the newest of the places where
/// packagers hide it.
pub(crate) fn postgres_folder() -> Result<PathBuf, StartError> {
    let missing = StartError::MissingProgram {
        program: "initdb and postgres",
        package: "postgresql",
    };
    in_path("initdb")
        .and_then(|initdb| Some(initdb.canonicalize().ok()?.parent()?.to_path_buf()))
        .filter(|folder| is_program(&folder.join("postgres")))
        .or_else(newest_packaged)
        .ok_or(missing)
}

pub(crate) fn redis_server() -> Result<PathBuf, StartError> {
    let missing = StartError::MissingProgram {
        program: "redis-server",
        package: "redis-server",
    };
    in_path("redis-server").ok_or(missing)
}

/// `psql`, of the same release as the servers started here where there is a choice.
///
/// # Errors
/// [`StartError::MissingProgram`].
pub fn psql() -> Result<PathBuf, StartError> {
    let beside_server = postgres_folder()
        .ok()
        .map(|folder| folder.join("psql"))
        .filter(|psql| is_program(psql));
    let missing = StartError::MissingProgram {
        program: "psql",
        package: "postgresql-client",
    };
    beside_server.or_else(|| in_path("psql")).ok_or(missing)
}

/// `redis-cli`.
///
/// # Errors
/// [`StartError::MissingProgram`].
pub fn redis_cli() -> Result<PathBuf, StartError> {
    let missing = StartError::MissingProgram {
        program: "redis-cli",
        package: "redis-tools",
    };
    in_path("redis-cli").ok_or(missing)
}

/// The first program of this name in `PATH`.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| is_program(program))
}

fn newest_packaged() -> Option<PathBuf> {
    // Debian, Fedora's versioned packages, Homebrew on Apple silicon and Intel.
    let debian =
        versions("/usr/lib/postgresql", "").map(|(version, folder)| (version, folder.join("bin")));
    let fedora = versions("/usr", "pgsql-").map(|(version, folder)| (version, folder.join("bin")));
    let homebrew = ["/opt/homebrew/opt", "/usr/local/opt"]
        .into_iter()
        .flat_map(|base| versions(base, "postgresql@"))
        .map(|(version, folder)| (version, folder.join("bin")));
    debian
        .chain(fedora)
        .chain(homebrew)
        .filter(|(_, bin)| is_program(&bin.join("initdb")) && is_program(&bin.join("postgres")))
        .max_by_key(|(version, _)| *version)
        .map(|(_, bin)| bin)
}

/// Subfolders called `prefix` and a major version.
fn versions(base: &str, prefix: &str) -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let name = entry.file_name();
        let version = name
            .to_str()?
            .strip_prefix(prefix)?
            .split('.')
            .next()?
            .parse()
            .ok()?;
        Some((version, entry.path()))
    })
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
