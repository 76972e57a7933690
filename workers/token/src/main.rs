//! The process `bulkhead-token`.

use std::process::ExitCode;

use bulkhead_amazon::{AmazonOptions, Lwa};
use bulkhead_domain::Class;
use bulkhead_service::{Need, Process, Shell, StartError};
use bulkhead_token::{Credentials, TokenHandler};
use bulkhead_vault::Keyring;
use bulkhead_worker::process;

const PROCESS: Process = Process::new("bulkhead-token")
    .about("Refreshes access tokens, ahead of need and on demand")
    .class(Class::Token)
    .needs(&[Need::Postgres, Need::Redis, Need::Vault]);

fn main() -> ExitCode {
    bulkhead_service::run(PROCESS, async |shell: Shell| {
        let config = &shell.config;
        let keyring = Keyring::load(config.vault.keyring()?, &config.vault.environment)
            .map_err(StartError::keyring)?;
        let credentials = Credentials::new(&keyring).map_err(StartError::keyring)?;
        let lwa = Lwa::new(&AmazonOptions::from(&**config))?;
        process::run(&shell, Class::Token, |gate| {
            TokenHandler::new(gate, lwa, credentials)
        })
        .await
    })
}
