//! Where something could have been left.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use bulkhead_devstack::fleet::{DATABASE, Member};

use crate::support::TestNight;

/// A place's name, and all that is in it.
pub(super) type Place = (String, Vec<u8>);

/// What the processes and servers have logged. The simulated Amazon is the world outside; keys are secret by themselves.
pub(super) fn of_files(night: &TestNight) -> Result<Vec<Place>> {
    let fleet = &night.fleet;
    let mut places = Vec::new();
    for name in ["scheduler", "token-1", "sync-1", "sync-2"] {
        let log = fs::read(fleet.log(name))?;
        anyhow::ensure!(
            log.windows(7).any(|word| word == b"\"TRACE\""),
            "{name} does not log all that it could"
        );
        places.push((format!("the log of {name}"), log));
    }
    places.push((
        "the log of Postgres".to_owned(),
        fs::read(fleet.postgres.log())?,
    ));
    places.push(("the log of Redis".to_owned(), fs::read(fleet.redis.log())?));
    places.push((
        "the configuration".to_owned(),
        fs::read(fleet.configuration())?,
    ));
    Ok(places)
}

/// All of Redis, as it would write it to a disk, without compression.
pub(super) fn redis(night: &TestNight) -> Result<Place> {
    let redis = &night.fleet.redis;
    for command in ["CONFIG SET rdbcompression no", "SAVE"] {
        let answer = redis.command(command)?;
        anyhow::ensure!(answer == "+OK", "{command}: {answer}");
    }
    let socket = redis.socket();
    let folder = socket.parent().context("the socket is in Redis's folder")?;
    let dump = fs::read(folder.join("dump.rdb")).context("read Redis's dump")?;
    let dead = b"attempts failed";
    anyhow::ensure!(
        dump.windows(dead.len()).any(|text| text == dead),
        "the dump shows why jobs were given up"
    );
    Ok(("Redis".to_owned(), dump))
}

/// The whole database as text; sealed columns are hexadecimal in it.
pub(super) fn postgres(night: &TestNight) -> Result<Place> {
    let server = &night.fleet.postgres;
    let dump = Command::new(server.programs().join("pg_dump"))
        .arg(server.admin_url(DATABASE))
        .output()
        .context("run pg_dump")?;
    anyhow::ensure!(
        dump.status.success(),
        "{}",
        String::from_utf8_lossy(&dump.stderr)
    );
    let rows = dump.stdout.windows(5).filter(|row| row == b"COPY ").count();
    anyhow::ensure!(rows > 10, "the dump holds {rows} tables");
    Ok(("Postgres".to_owned(), dump.stdout))
}

/// What an operator sees.
pub(super) async fn command_line(night: &TestNight) -> Result<Vec<Place>> {
    let cli = night.fleet.cli();
    let mut places = Vec::new();
    let mut commands = vec![
        vec!["status".to_owned()],
        vec!["jobs".to_owned(), "list".to_owned()],
        vec!["connection".to_owned(), "list".to_owned()],
        vec!["application".to_owned(), "list".to_owned()],
    ];
    for state in ["dead", "cancelled", "done"] {
        for job in night.jobs(state).await?.into_iter().take(3) {
            commands.push(vec!["jobs".to_owned(), "show".to_owned(), job]);
        }
    }
    for command in commands {
        for json in [&[][..], &["--json"]] {
            let arguments = command.iter().map(String::as_str);
            let arguments: Vec<&str> = json.iter().copied().chain(arguments).collect();
            let output = cli.output(&arguments, "").await?;
            let text = [output.stdout, output.stderr].concat();
            places.push((format!("bulkhead {}", arguments.join(" ")), text));
        }
    }
    Ok(places)
}

/// Waits until processes have crashed; what they left behind, which should be nothing but a log.
pub(super) async fn crashed(night: &TestNight, members: &[&Member]) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for member in members {
        let name = member.process.name();
        let status = member.process.wait(Duration::from_secs(20)).await;
        let status = status.with_context(|| format!("{name} ends"))?;
        anyhow::ensure!(
            status.signal().is_some(),
            "{name} has not crashed: {status}"
        );
        anyhow::ensure!(!status.core_dumped(), "{name} has left a core file");
        places.push((
            format!("the log of the crashed {name}"),
            fs::read(night.fleet.log(name))?,
        ));
    }
    for folder in [night.fleet.folder.clone(), std::env::current_dir()?] {
        let cores: Vec<PathBuf> = core_files(&folder)?;
        anyhow::ensure!(cores.is_empty(), "{cores:?}");
    }
    Ok(places)
}

fn core_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut cores = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && (name == "core" || name.starts_with("core.")) {
            cores.push(path);
        }
    }
    Ok(cores)
}
