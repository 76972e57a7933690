//! `bulkhead`: wiring.

use std::{cell::Cell, process::ExitCode};

use bulkhead_ctl::{Cli, PROCESS, exit, secret_shape};
use bulkhead_service::Shell;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    if let Some(secret) = secret_shape::among_arguments(arguments) {
        return exit::fail(&secret_shape::refused_argument(secret).into());
    }
    let failed = Cell::new(None);
    let code = bulkhead_service::run_with(PROCESS, async |shell: Shell, cli: Cli| {
        if let Err(error) = cli.run(&shell).await {
            failed.set(Some(exit::fail(&error)));
        }
        Ok(())
    });
    failed.get().unwrap_or(code)
}
