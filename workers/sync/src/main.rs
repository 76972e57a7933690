//! The process `bulkhead-sync`.

use std::process::ExitCode;

use bulkhead_amazon::{AmazonOptions, SpApi};
use bulkhead_domain::Class;
use bulkhead_service::{Need, Process, Shell, StartError};
use bulkhead_sync::{PiiSealer, SyncHandler, TokenKeys};
use bulkhead_vault::Keyring;
use bulkhead_worker::process;

const PROCESS: Process = Process::new("bulkhead-sync")
    .about("Brings pages of seller data into Postgres, under Amazon's usage plans")
    .class(Class::Sync)
    .needs(&[Need::Postgres, Need::Redis, Need::Vault]);

fn main() -> ExitCode {
    bulkhead_service::run(PROCESS, async |shell: Shell| {
        let config = &shell.config;
        let keyring = Keyring::load(config.vault.keyring()?, &config.vault.environment)
            .map_err(StartError::keyring)?;
        let tokens = TokenKeys::new(&keyring).map_err(StartError::keyring)?;
        let pii = PiiSealer::new(&keyring).map_err(StartError::keyring)?;
        let api = SpApi::new(&AmazonOptions::from(&**config))?;
        process::run(&shell, Class::Sync, |gate| {
            SyncHandler::new(gate, api, tokens, pii)
        })
        .await
    })
}
