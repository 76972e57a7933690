use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bulkhead_devstack::{ChildOptions, ChildProcess, Signal, StackState, StartError};

const SOON: Duration = Duration::from_secs(20);

/// The processes with this parent, found without the crate's own code.
fn children_of(parent: u32) -> Vec<u32> {
    let listed = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &parent.to_string()])
        .output()
        .unwrap();
    String::from_utf8(listed.stdout)
        .unwrap()
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // A zombie has ended: whoever inherited it has not looked yet.
    stat.is_ok_and(|stat| {
        !matches!(
            stat.rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next()),
            Some('Z' | 'X')
        )
    })
}

fn all_end_within(pids: &[u32], within: Duration) -> bool {
    let deadline = Instant::now() + within;
    while pids.iter().any(|pid| runs(*pid)) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// A process that keeps a Redis and a Postgres up, and the process ids of all of them.
async fn servers_of_another_process(runtime_folder: &Path) -> (ChildProcess, StackState, Vec<u32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead-devstack"));
    command
        .args(["servers", "--json"])
        .env("XDG_RUNTIME_DIR", runtime_folder);
    let options = ChildOptions::new("servers", command)
        .log_to(runtime_folder.join("log"))
        .capture_first_line();
    let keeper = ChildProcess::spawn(options).unwrap();
    let state: StackState = serde_json::from_str(&keeper.first_line(SOON).await.unwrap()).unwrap();
    let servers = [state.processes["redis"], state.processes["postgres"]];
    let backends = children_of(state.processes["postgres"]);
    assert!(
        backends.len() >= 4,
        "checkpointer, writers, launchers: {backends:?}"
    );
    (keeper, state, servers.into_iter().chain(backends).collect())
}

#[tokio::test]
async fn servers_of_a_killed_process_end_with_all_their_processes() {
    let folder = tempfile::tempdir().unwrap();
    let (keeper, state, pids) = servers_of_another_process(folder.path()).await;
    assert!(
        ["redis", "postgres"]
            .iter()
            .all(|name| runs(state.processes[*name]))
    );
    keeper.kill();
    assert!(all_end_within(&pids, SOON), "left behind: {pids:?}");
}

#[tokio::test]
async fn stopped_servers_of_a_killed_process_end_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (keeper, _, pids) = servers_of_another_process(folder.path()).await;
    for pid in &pids {
        Command::new("kill")
            .args(["-STOP", &pid.to_string()])
            .status()
            .unwrap();
    }
    keeper.kill();
    assert!(all_end_within(&pids, SOON), "left behind: {pids:?}");
}

#[tokio::test]
async fn the_next_start_removes_the_folders_of_a_killed_process() {
    let folder = tempfile::tempdir().unwrap();
    let (keeper, state, pids) = servers_of_another_process(folder.path()).await;
    let left = Path::new(state.redis_url.strip_prefix("redis+unix://").unwrap())
        .parent()
        .unwrap()
        .to_owned();
    assert!(left.exists());
    keeper.kill();
    assert!(all_end_within(&pids, SOON));
    let (_keeper, ..) = servers_of_another_process(folder.path()).await;
    assert!(!left.exists());
}

#[tokio::test]
async fn a_child_outlives_the_thread_and_runtime_that_started_it() {
    let child = std::thread::spawn(|| {
        let mut command = Command::new("sleep");
        command.arg("600");
        ChildProcess::spawn(ChildOptions::new("sleep", command)).unwrap()
    });
    let child = child.join().unwrap();
    assert_eq!(child.wait(Duration::from_millis(200)).await, None);
    child.terminate();
    assert!(child.wait(SOON).await.is_some());
}

#[tokio::test]
async fn a_child_gives_its_first_line_and_logs_everything() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "echo ready; echo more; echo wrong >&2; exec sleep 600",
    ]);
    let options = ChildOptions::new("sh", command)
        .log_to(&log)
        .capture_first_line();
    let child = ChildProcess::spawn(options).unwrap();
    assert_eq!(child.first_line(SOON).await.unwrap(), "ready");
    assert!(child.is_running());
    child.kill();
    assert!(!child.is_running());
    child.signal(Signal::SIGTERM);
}

#[tokio::test]
async fn a_child_that_ends_without_a_line_is_an_error_with_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo no such setting >&2; exit 2"]);
    let options = ChildOptions::new("sh", command)
        .log_to(folder.path().join("log"))
        .capture_first_line();
    let error = ChildProcess::spawn(options)
        .unwrap()
        .first_line(SOON)
        .await
        .unwrap_err();
    assert!(
        matches!(error, StartError::Ended { status, .. } if status.code() == Some(2)),
        "{error}"
    );
    assert!(error.to_string().contains("no such setting"), "{error}");
}
