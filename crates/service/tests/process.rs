//! A real process: signals, exit codes, and what stands on standard error.

#![expect(clippy::unwrap_used, reason = "a failure here is the point")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// `examples/shell.rs`, which is built with the tests.
fn example() -> Command {
    let tests = std::env::current_exe().unwrap();
    let path: PathBuf = tests
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/shell");
    assert!(
        path.exists(),
        "{} is built by: cargo build -p bulkhead-service --examples",
        path.display()
    );
    let mut command = Command::new(path);
    command.env_clear();
    command
}

struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    _redis: TcpListener,
}

struct Ended {
    status: ExitStatus,
    stderr: String,
}

impl Running {
    fn start(args: &[&str]) -> Running {
        let redis = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", redis.local_addr().unwrap());
        let mut child = example()
            .args(args)
            .env("BULKHEAD_REDIS__URL", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running {
            stdin: child.stdin.take(),
            child,
            stdout,
            _redis: redis,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn says(&mut self, word: &str) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), word);
    }

    fn until_ready(mut self) -> Running {
        for word in ["step", "step", "step", "ready"] {
            self.says(word);
        }
        self
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn end(mut self) -> Ended {
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        Ended {
            status: self.child.wait().unwrap(),
            stderr,
        }
    }

    fn drain_and_end(mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.says("draining");
        drop(self.stdin.take());
        self.end()
    }
}

impl Ended {
    fn errors(&self) -> Vec<&str> {
        self.stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect()
    }
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_drained_process_finishes_and_exits_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut running = Running::start(&[]).until_ready();
        running.signal(signal);
        running.says("draining");
        drop(running.stdin.take());
        let ended = running.end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(signal.as_str()) && ended.stderr.contains("\"stopped\""),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_second_signal_ends_a_draining_process_at_once() {
    let mut running = Running::start(&[]).until_ready();
    running.signal(Signal::SIGTERM);
    running.says("draining");
    running.signal(Signal::SIGINT);
    let ended = running.end();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
    assert!(ended.stderr.contains("second signal"), "{}", ended.stderr);
}

#[test]
fn a_process_kills_itself_the_nth_time_it_reaches_its_crash_point() {
    let mut running = Running::start(&["--set", "testing.crash_at=example.step:2"]);
    running.says("step");
    running.says("");
    let ended = running.end();
    assert_eq!(ended.status.signal(), Some(Signal::SIGKILL as i32));
    assert!(
        ended.stderr.contains("THIS PROCESS WILL HARM ITSELF"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_process_stops_itself_at_its_crash_point_and_goes_on_when_continued() {
    let running = Running::start(&["--set", "testing.stop_at=example.step:3"]);
    let stopped = waitpid(running.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(running.pid(), Signal::SIGSTOP));
    running.signal(Signal::SIGCONT);
    assert_eq!(running.until_ready().drain_and_end().status.code(), Some(0));
}

#[test]
fn a_crash_point_that_was_never_reached_is_said_at_the_end() {
    let ended = Running::start(&["--set", "testing.crash_at=exmaple.step"])
        .until_ready()
        .drain_and_end();
    assert!(ended.stderr.contains("never reached"), "{}", ended.stderr);
}

#[test]
fn a_collector_that_is_down_is_said_once_and_holds_nothing_up() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let endpoint = format!("telemetry.otlp_endpoint=http://127.0.0.1:{port}");
    let ended = Running::start(&["--set", &endpoint])
        .until_ready()
        .drain_and_end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(
        ended.stderr.matches("dependency is down").count(),
        1,
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("OpenTelemetry collector"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_unreachable_dependency_is_one_clear_error_and_exit_code_3() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("redis://user:CANARY@127.0.0.1:{port}");
    let (code, stdout, stderr) = output(example().env("BULKHEAD_REDIS__URL", url));
    assert_eq!(code, Some(3), "{stderr}");
    assert_eq!(stdout, "");
    let errors: Vec<_> = stderr
        .lines()
        .filter(|line| !line.starts_with('{'))
        .collect();
    let expected = format!(
        "error: Redis cannot be reached at redis://user@127.0.0.1:{port}: Connection refused (os error 111)"
    );
    assert_eq!(errors, [expected]);
    assert!(!stderr.contains("CANARY"), "{stderr}");
}

#[test]
fn a_failure_is_one_redacted_line_and_its_exit_code() {
    for (how, code, line) in [
        (
            "keyring",
            4,
            "error: keyring refused: permissions 0644: must be 0600",
        ),
        ("other", 1, "error: the work failed on [redacted]"),
    ] {
        let ended = Running::start(&["--fail", how])
            .until_ready()
            .drain_and_end();
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        assert_eq!(ended.errors(), [line]);
    }
}

#[test]
fn a_secret_that_is_logged_or_panicked_with_does_not_reach_standard_error() {
    let ended = Running::start(&["--fail", "panic"])
        .until_ready()
        .drain_and_end();
    assert_eq!(ended.status.code(), Some(101));
    assert!(
        ended.stderr.contains("a panic with [redacted]"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("reached redis://user:[redacted]@localhost"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("CANARY"), "{}", ended.stderr);
    assert!(
        ended.stderr.lines().all(|line| line.starts_with('{')),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_malformed_configuration_is_refused_before_anything_starts() {
    let (code, stdout, stderr) = output(example().args([
        "--set",
        "worker.concurency=3",
        "--set",
        "redis.url=redis://far",
    ]));
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(
        lines[0].starts_with("error: --set: redis.url would speak to far without TLS"),
        "{stderr}"
    );
    assert_eq!(
        lines[1],
        "error: --set: worker.concurency is not a setting; did you mean worker.concurrency?"
    );
}

#[test]
fn a_missing_setting_is_refused_with_how_to_set_it() {
    let (code, _, stderr) = output(&mut example());
    assert_eq!(code, Some(2));
    assert_eq!(
        stderr,
        "error: configuration: redis.url is not set; set url under [redis] in the --config file, or BULKHEAD_REDIS__URL\n"
    );
}

#[test]
fn the_command_line_is_checked_and_documents_itself() {
    assert_eq!(output(example().arg("--nonsense")).0, Some(2));
    let (code, stdout, _) = output(example().arg("--version"));
    assert_eq!(
        (code, stdout),
        (
            Some(0),
            format!("bulkhead-example {}\n", env!("CARGO_PKG_VERSION"))
        )
    );
    let (code, stdout, _) = output(example().arg("--example-config"));
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), bulkhead_service::Config::example())
    );
    let checked =
        output(example().args(["--check-config", "--set", "redis.url=redis://localhost:1"]));
    assert_eq!(
        checked,
        (Some(0), "configuration: ok\n".into(), String::new())
    );
}
