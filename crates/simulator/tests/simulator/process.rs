use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

fn simulator() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amazon-simulator"));
    command
        .kill_on_drop(true)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn it_prints_one_line_when_ready_and_ends_on_sigterm() {
    let mut child = simulator()
        .args(["--sellers", "3", "--orders", "1"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(ready["sellers"].as_array().unwrap().len(), 3);
    assert!(
        ready["lwa_url"]
            .as_str()
            .unwrap()
            .ends_with("/auth/o2/token")
    );
    assert!(
        ready["endpoints"]["fe"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:")
    );
    let pid = child.id().unwrap().to_string();
    let killed = Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .await
        .unwrap();
    assert!(killed.success());
    assert!(child.wait().await.unwrap().success());
    assert_eq!(lines.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn wrong_arguments_and_a_taken_port_are_one_clear_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (arguments, status, reason) in [
        (["--sellers", "0"], 2, "--sellers"),
        (["--time-scale", "0"], 2, "--time-scale"),
        (["--seler", "3"], 2, "--sellers"),
        (["--listen", taken.as_str()], 1, "cannot listen on"),
    ] {
        let output = simulator().args(arguments).output().await.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(
            text.to_lowercase().starts_with("error: ") && text.contains(reason),
            "{text}"
        );
    }
}
