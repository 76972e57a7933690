//! What a caller can do about a failure.

/// A statement failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres cannot be reached, is going down, is full or did not answer in time: nothing is known to be wrong with
    /// the request. Try again later. Whether a commit took effect is unknown; what is entered again finds out.
    #[error("{doing}: Postgres is not available")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// What the driver says.
        #[source]
        source: sqlx::Error,
    },
    /// The role may not do it, or no job is entered. A defect, or somebody trying.
    #[error("{doing}: refused")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// What Postgres says.
        #[source]
        source: sqlx::Error,
    },
    /// A row holds what this build does not know: written by a newer one.
    #[error("{doing}: a row of a newer version")]
    Unreadable {
        /// What was being done.
        doing: &'static str,
        /// What is not known.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Anything else: a defect.
    #[error("{doing}")]
    Statement {
        /// What was being done.
        doing: &'static str,
        /// What the driver says.
        #[source]
        source: sqlx::Error,
    },
}

impl StoreError {
    /// Whether the same will work by itself once Postgres is back.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    pub(crate) fn new(doing: &'static str, source: sqlx::Error) -> Self {
        if is_outage(&source) {
            Self::Unavailable { doing, source }
        } else if code(&source).as_deref() == Some("42501") {
            Self::Refused { doing, source }
        } else {
            Self::Statement { doing, source }
        }
    }

    pub(crate) fn unreadable<E>(doing: &'static str) -> impl Fn(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Unreadable {
            doing,
            source: Box::new(source),
        }
    }
}

/// Something could not be added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// One with this name, client id or seller is there already.
    #[error("{what}: it exists already ({constraint})")]
    Exists {
        /// What was to be added.
        what: &'static str,
        /// The key that it would break.
        constraint: String,
    },
    /// The tenant, application or connection that it belongs to does not exist.
    #[error("{what}: what it belongs to does not exist ({constraint})")]
    Orphan {
        /// What was to be added.
        what: &'static str,
        /// The reference that it would break.
        constraint: String,
    },
    /// A value is out of its bounds.
    #[error("{what}: a value is not allowed ({constraint})")]
    Invalid {
        /// What was to be added.
        what: &'static str,
        /// The check that it would break.
        constraint: String,
    },
    /// As any statement.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AddError {
    /// Tells a broken key, reference or check from other failures.
    pub(crate) fn of(what: &'static str) -> impl Fn(StoreError) -> Self {
        move |error| {
            let StoreError::Statement { source, .. } = &error else {
                return Self::Store(error);
            };
            let constraint = source
                .as_database_error()
                .and_then(|database| database.constraint())
                .unwrap_or_default()
                .to_owned();
            match code(source).as_deref() {
                Some("23505") => Self::Exists { what, constraint },
                Some("23503") => Self::Orphan { what, constraint },
                Some("23514") => Self::Invalid { what, constraint },
                _ => Self::Store(error),
            }
        }
    }
}

/// The five characters of Postgres, appendix A.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Connection, serialization and deadlock, resources, lock and operator intervention.
        sqlx::Error::Database(_) => code(error).is_some_and(|code| {
            ["08", "40", "53", "55P03", "57", "25P03"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_an_outage_and_a_defect_is_not() {
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(StoreError::new("read", reset.into()).is_outage());
        assert!(StoreError::new("read", sqlx::Error::PoolTimedOut).is_outage());
        assert!(!StoreError::new("read", sqlx::Error::RowNotFound).is_outage());
    }
}
