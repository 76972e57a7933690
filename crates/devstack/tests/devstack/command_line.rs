use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use bulkhead_devstack::{ChildOptions, ChildProcess};

fn devstack(arguments: &[&str], path: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead-devstack"));
    command.args(arguments).env_remove("BULKHEAD_TEST_POSTGRES");
    command.envs(path.map(|path| ("PATH", path)));
    command.output().unwrap()
}

#[test]
fn exec_gives_the_command_a_cluster_and_passes_its_exit_code_on() {
    let script = r#"psql "$BULKHEAD_TEST_POSTGRES" -Atc 'select current_user' && exit 7"#;
    let output = devstack(&["exec", "--", "sh", "-c", script], None);
    assert_eq!(output.stdout, b"postgres\n", "{output:?}");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn exec_reports_a_command_killed_by_a_signal_as_a_shell_does() {
    let output = devstack(&["exec", "--", "sh", "-c", "kill -KILL $$"], None);
    assert_eq!(output.status.code(), Some(137));
}

#[test]
fn a_missing_server_is_named_with_its_package() {
    let empty = tempfile::tempdir().unwrap();
    let output = devstack(&["servers"], Some(empty.path()));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        message.contains("apt-get install redis-server"),
        "{message}"
    );
}

#[test]
fn a_shell_without_a_stack_says_how_to_start_one() {
    let empty = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead-devstack"));
    let output = command
        .arg("psql")
        .env("XDG_RUNTIME_DIR", empty.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("no dev stack is up")
    );
}

#[tokio::test]
async fn shells_find_the_servers_that_are_up_until_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let within = Duration::from_secs(20);
    let devstack = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead-devstack"));
        command.env("XDG_RUNTIME_DIR", folder.path());
        command
    };
    let mut servers = devstack();
    servers.args(["servers", "--tcp"]);
    let options = ChildOptions::new("servers", servers)
        .log_to(folder.path().join("log"))
        .capture_first_line();
    let servers = ChildProcess::spawn(options).unwrap();
    servers.first_line(within).await.unwrap();

    let sql = devstack()
        .args(["psql", "--", "-Atc", "select 6 * 7"])
        .output()
        .unwrap();
    assert_eq!(sql.stdout, b"42\n", "{sql:?}");
    let size = devstack().args(["redis", "--", "dbsize"]).output().unwrap();
    assert_eq!(size.stdout.trim_ascii_end().last(), Some(&b'0'), "{size:?}");

    servers.terminate();
    assert!(servers.wait(within).await.unwrap().success());
    assert!(
        !devstack()
            .args(["psql", "--", "-c", "select 1"])
            .output()
            .unwrap()
            .status
            .success()
    );
}
