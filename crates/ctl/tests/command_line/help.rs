//! The help teaches: every command has an example, and needs no server.

use std::process::Command;

fn help(command: &str) -> String {
    let mut bulkhead = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
    bulkhead
        .env_clear()
        .args(command.split_whitespace())
        .arg("--help");
    let output = bulkhead.output().unwrap();
    assert!(output.status.success(), "{command}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_has_an_example() {
    for command in [
        "migrate",
        "keys generate",
        "tenant add",
        "tenant list",
        "tenant pause",
        "tenant resume",
        "tenant weight",
        "class pause",
        "class resume",
        "cap set",
        "cap clear",
        "cap list",
        "application add",
        "application list",
        "connection add",
        "connection list",
        "connection pause",
        "connection resume",
        "connection reauthorize",
        "enqueue sync",
        "plan sync",
        "plans show",
        "plans set",
        "plans reset",
        "jobs list",
        "jobs show",
        "jobs retry",
        "jobs cancel",
        "status",
        "completions",
    ] {
        let help = help(command);
        let example = format!("bulkhead {command}");
        let (_, examples) = help
            .split_once("Example")
            .unwrap_or_else(|| panic!("{command}"));
        assert!(examples.contains(&example), "{command}: {examples}");
    }
}

#[test]
fn exit_codes_are_explained() {
    let help = help("");
    for code in [
        "0  done",
        "1  failed",
        "2  ",
        "3  Postgres or Redis",
        "4  the keyring",
        "5  nothing has this name",
    ] {
        assert!(help.contains(code), "{code}");
    }
}
