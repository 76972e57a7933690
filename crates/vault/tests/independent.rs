//! The frozen vectors, opened by an implementation that shares no code with this one.

use std::{path::Path, process::Command};

#[test]
fn python_opens_the_frozen_vectors() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let importable = Command::new("python3")
        .args(["-c", "import cryptography"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !importable {
        eprintln!("SKIPPED: python3 with `cryptography` is not installed");
        return;
    }
    let output = Command::new("python3")
        .arg("-B")
        .arg(tests.join("envelope_v1.py"))
        .arg("open")
        .arg(tests.join("vectors/envelope_v1.json"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout.starts_with(b"opened "));
}
