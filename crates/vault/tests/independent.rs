//! The frozen vectors, opened by an implementation that shares no code with this one.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure of a test is the point; a skip is told"
)]

use std::{path::Path, process::Command};

/// Runs `tests/<script>.py open tests/vectors/<script>.json`, if Python has `module`.
fn opens_with_python(script: &str, module: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let importable = Command::new("python3")
        .args(["-c", &format!("import {module}")])
        .output()
        .is_ok_and(|output| output.status.success());
    if !importable {
        eprintln!("SKIPPED: python3 with `{module}` is not installed");
        return;
    }
    let output = Command::new("python3")
        .arg("-B")
        .arg(tests.join(format!("{script}.py")))
        .arg("open")
        .arg(tests.join(format!("vectors/{script}.json")))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(output.stdout.starts_with(b"opened "));
}

#[test]
fn python_opens_the_frozen_ciphertexts() {
    opens_with_python("envelope_v1", "cryptography.hazmat.primitives.ciphers.aead");
}

#[test]
fn python_unwraps_the_frozen_keys() {
    opens_with_python("wrap_v1", "cryptography.hazmat.primitives.hpke");
}
