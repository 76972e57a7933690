//! `bulkhead migrate`

use std::convert::Infallible;

use bulkhead_service::{StartError, reach};
use bulkhead_store::{MigrateError, Migrator};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{output::Answer, session::Session};

/// Makes the roles, if the login may, and applies the migrations that are missing
///
/// `postgres.url` names, the first time, a superuser or the database's owner with CREATEROLE; later
/// `bulkhead_migrator`. Running it again does nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  BULKHEAD_POSTGRES__URL='postgres://bulkhead_migrator@db.internal/bulkhead?sslmode=verify-full' bulkhead migrate")]
pub(crate) struct Migrate {
    /// Change nothing; exit code 1 if a migration is missing
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Serialize)]
struct Migrations {
    /// The schema's version before; null: there was no schema.
    from: Option<i64>,
    /// The version that this build leads to.
    to: i64,
    /// Whether the schema has that version now.
    up_to_date: bool,
    /// What was applied, or, with `--check`, is missing.
    migrations: Vec<MigrationEntry>,
}

#[derive(Debug, Serialize)]
struct MigrationEntry {
    version: i64,
    name: &'static str,
}

impl Migrate {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let url = session.config().postgres.url()?.expose_secret().to_owned();
        let migrations = if self.check {
            check(&url).await?
        } else {
            migrate(&url).await?
        };
        session.show(&migrations)?;
        if migrations.up_to_date {
            Ok(())
        } else {
            Err(anyhow::anyhow!(
                "the schema is not up to date: run `bulkhead migrate`"
            ))
        }
    }
}

async fn check(url: &str) -> anyhow::Result<Migrations> {
    let applied = async { Ok::<_, Infallible>(Migrator::applied(url).await) };
    let from = sorted(url, reach("Postgres", url, applied).await?)?;
    let to = Migrator::newest_version();
    Ok(Migrations {
        from,
        to,
        up_to_date: from.is_some_and(|from| from >= to),
        migrations: after(from),
    })
}

/// Without the patience of [`reach`]: a migration takes as long as it takes.
async fn migrate(url: &str) -> anyhow::Result<Migrations> {
    let migrated = sorted(url, Migrator::run(url).await)?;
    Ok(Migrations {
        from: migrated.from,
        to: migrated.to,
        up_to_date: true,
        migrations: after(migrated.from),
    })
}

fn after(version: Option<i64>) -> Vec<MigrationEntry> {
    let later = Migrator::after(version);
    later
        .map(|(version, name)| MigrationEntry { version, name })
        .collect()
}

fn sorted<T>(url: &str, outcome: Result<T, MigrateError>) -> anyhow::Result<T> {
    outcome.map_err(|error| match error {
        MigrateError::Unreachable(source) => StartError::dependency("Postgres", url, source).into(),
        MigrateError::Url(_) | MigrateError::NotPrivileged { .. } => {
            StartError::refused(format!("{:#}", anyhow::Error::from(error))).into()
        }
        error => error.into(),
    })
}

impl Answer for Migrations {
    fn for_people(&self, _: bool) -> String {
        let to = self.to;
        let mut text = String::new();
        for migration in &self.migrations {
            let verb = if self.up_to_date {
                "applied"
            } else {
                "missing"
            };
            text += &format!("{verb} {:04} {}\n", migration.version, migration.name);
        }
        text += &match self.from {
            Some(from) if from >= to => format!("the schema is up to date: version {from}\n"),
            Some(from) if self.up_to_date => {
                format!("the schema was migrated from version {from} to {to}\n")
            }
            None if self.up_to_date => format!("the schema was made: version {to}\n"),
            Some(from) => format!("the schema has version {from}, this build needs {to}\n"),
            None => format!("there is no schema; this build needs version {to}\n"),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_was_done_and_what_is_missing() {
        let shown = |from, up_to_date| {
            Migrations {
                from,
                to: 14,
                up_to_date,
                migrations: Vec::new(),
            }
            .for_people(false)
        };
        assert_eq!(
            shown(Some(14), true),
            "the schema is up to date: version 14\n"
        );
        assert_eq!(shown(None, true), "the schema was made: version 14\n");
        assert!(shown(Some(3), true).contains("migrated from version 3 to 14"));
        assert!(shown(Some(3), false).contains("needs 14"));
        assert!(shown(None, false).contains("there is no schema"));
    }
}
