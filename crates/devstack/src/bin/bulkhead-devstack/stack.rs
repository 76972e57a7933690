//! What a person needs to look around in a stack that is up.

use std::collections::BTreeMap;

use anyhow::Result;
use bulkhead_devstack::{
    StackState,
    fleet::{Fleet, write_private},
};

use crate::demo::crew::Crew;

/// Writes the state file for `psql` and `redis`, an environment for `bulkhead`, and prints how to use them.
pub(crate) fn explain(fleet: &Fleet, crew: &Crew) -> Result<()> {
    let state = state(fleet, crew);
    state.write()?;
    let environment = fleet.folder.join("environment");
    write_private(&environment, &variables(fleet))?;
    eprintln!(
        "\nEverything is up; Ctrl-C ends it.\n\
         \n  ./dev psql                      the database, as its superuser\
         \n  ./dev redis                     Redis\
         \n  . {environment}   then: bulkhead status, bulkhead jobs list, bulkhead enqueue sync --all\
         \n  ls {logs}   a log of each process\
         \n  curl {control}/counts   what the simulated Amazon has counted",
        environment = environment.display(),
        logs = fleet.folder.join("logs").display(),
        control = fleet.amazon.ready.control_url.trim_end_matches('/'),
    );
    Ok(())
}

/// Removes the state file.
pub(crate) fn forget() {
    if let Ok(state) = StackState::read() {
        state.remove();
    }
}

fn state(fleet: &Fleet, crew: &Crew) -> StackState {
    let mut processes = BTreeMap::from([
        ("devstack".to_owned(), std::process::id()),
        ("postgres".to_owned(), fleet.postgres.pid()),
        ("simulator".to_owned(), fleet.amazon.process.pid()),
    ]);
    processes.extend(fleet.redis.processes());
    for member in crew.members() {
        processes.insert(member.process.name().to_owned(), member.process.pid());
    }
    StackState {
        postgres_url: fleet.admin_url(),
        redis_url: fleet.redis.url(),
        processes,
        urls: BTreeMap::from([(
            "simulator".to_owned(),
            fleet.amazon.ready.control_url.clone(),
        )]),
        folder: Some(fleet.folder.clone()),
    }
}

/// For a shell: the configuration, the operator's role, and the folder of the programs in the path.
fn variables(fleet: &Fleet) -> String {
    let programs = std::env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.display().to_string()));
    format!(
        "export BULKHEAD_CONFIG='{}'\nexport BULKHEAD_POSTGRES__URL='{}'\nexport BULKHEAD_REDIS__URL='{}'\nexport BULKHEAD_VAULT__KEYRING='{}'\nexport PATH='{}':\"$PATH\"\n",
        fleet.configuration().display(),
        fleet.role_url("bulkhead_operator"),
        fleet.redis_url("operator"),
        fleet.keyring("cli").display(),
        programs.unwrap_or_default(),
    )
}
