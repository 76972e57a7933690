//! A panic is a log line like any other: redacted, and with its place.

use std::panic::{PanicHookInfo, set_hook};

use tracing::error;

use crate::start_error::line;

/// From here on panics are logged instead of printed.
pub(crate) fn log_panics() {
    set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let message = panic
        .payload_as_str()
        .unwrap_or("with a value that is not text");
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let thread = std::thread::current();
    error!(
        panic.message = line(message),
        panic.place = place,
        panic.thread = thread.name().unwrap_or("unnamed"),
        "panicked"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::Captured;

    #[test]
    fn a_panic_is_logged_without_the_secret_in_it() {
        let captured = Captured::start();
        log_panics();
        let panicked = std::panic::catch_unwind(|| panic!("token was Atza|CANARY"));
        drop(std::panic::take_hook());
        assert!(panicked.is_err());
        let lines = captured.lines();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(
            lines[0].contains("token was [redacted]") && lines[0].contains("panic.rs:"),
            "{}",
            lines[0]
        );
    }
}
