//! Which plan a command is about: whose, and of which operation.

use bulkhead_domain::{Class, Operation, UsagePlan, operation::OPERATIONS};
use bulkhead_store::{PlanSubject, Store};

use crate::{directory, not_found::NotFound, session::Session, told::Told};

/// One connection's plan of an operation, or an application's limit over all its sellers.
#[derive(Debug, clap::Args)]
pub struct PlanSubjectArgs {
    #[command(flatten)]
    whose: Whose,

    /// The operation, as searchOrders or orders/2026-01-01/searchOrders
    pub(crate) operation: String,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// This connection's: TENANT/NAME, name or id
    #[arg(long)]
    connection: Option<String>,

    /// This application's, over all its sellers: name or id
    #[arg(long)]
    application: Option<String>,
}

/// A subject, as it is stored and as people are told.
#[derive(Debug)]
pub struct Named {
    /// As Postgres knows it.
    pub subject: PlanSubject,
    /// The operation.
    pub operation: &'static Operation,
    /// `acme/shop-eu`, or the application's name.
    pub name: String,
}

impl PlanSubjectArgs {
    /// Which they name.
    ///
    /// # Errors
    /// An unknown name; or Postgres failed.
    pub async fn find(&self, store: &Store) -> anyhow::Result<Named> {
        let operation = operation(&self.operation)?;
        if let Some(given) = &self.whose.application {
            let application = directory::application(store, given).await?;
            return Ok(Named {
                subject: PlanSubject {
                    application: application.id,
                    connection: None,
                    operation: operation.key(),
                },
                operation,
                name: application.name,
            });
        }
        let given = self.whose.connection.as_deref().unwrap_or_default();
        let connection = directory::connection(store, None, given).await?;
        Ok(Named {
            subject: PlanSubject {
                application: connection.application,
                connection: Some((connection.tenant, connection.id)),
                operation: operation.key(),
            },
            operation,
            name: directory::path(&connection),
        })
    }
}

impl Named {
    /// Pins this plan in the queues of every class; `None` forgets what was pinned and learned.
    pub async fn tell(&self, session: &Session, plan: Option<UsagePlan>) -> Told {
        let plan = plan.map(|plan| plan.scaled(session.config().amazon.time_scale));
        let application = self.subject.application;
        let connection = self.subject.connection.map(|(_, connection)| connection);
        let told = Told::by(session, &Class::ALL, async |queue| {
            match plan {
                Some(plan) => {
                    queue
                        .pin_plan(application, connection, self.operation, plan)
                        .await?;
                }
                None => {
                    queue
                        .reset_plan(application, connection, self.operation)
                        .await?;
                }
            }
            Ok(())
        });
        told.await
    }
}

/// The operation of this key, or of this name if only one version has it.
///
/// # Errors
/// [`NotFound`], with the one that was probably meant.
pub fn operation(given: &str) -> Result<&'static Operation, NotFound> {
    if let Some(operation) = Operation::find(given) {
        return Ok(operation);
    }
    let mut called = OPERATIONS.iter().filter(|one| one.name == given);
    if let (Some(only), None) = (called.next(), called.next()) {
        return Ok(only);
    }
    // A name that several versions have needs its key, so keys are what is known.
    let several = OPERATIONS.iter().any(|one| one.name == given);
    let known: Vec<String> = OPERATIONS
        .iter()
        .filter(|one| !several || one.name == given)
        .map(|one| {
            if several || given.contains('/') {
                one.key()
            } else {
                one.name.to_owned()
            }
        })
        .collect();
    let known = known.iter().map(String::as_str);
    Err(NotFound::among("operation", given, known, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(given: &str) -> Result<String, String> {
        operation(given)
            .map(Operation::key)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_operation_is_found_by_key_and_by_a_name_that_only_one_has() {
        let search = Ok("orders/2026-01-01/searchOrders".to_owned());
        assert_eq!(found("orders/2026-01-01/searchOrders"), search);
        assert_eq!(found("searchOrders"), search);
    }

    #[test]
    fn a_mistyped_operation_is_suggested_as_it_was_typed() {
        assert_eq!(
            found("serchOrders").unwrap_err(),
            "there is no operation `serchOrders`; did you mean `searchOrders`?"
        );
        assert!(
            found("orders/2026-01-01/serchOrders")
                .unwrap_err()
                .ends_with("did you mean `orders/2026-01-01/searchOrders`?")
        );
    }

    #[test]
    fn a_name_that_several_versions_have_needs_its_version() {
        let refusal = found("getOrder").unwrap_err();
        assert!(refusal.contains("orders/2026-01-01/getOrder"), "{refusal}");
        assert!(refusal.contains("orders/v0/getOrder"), "{refusal}");
    }
}
