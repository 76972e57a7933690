use std::error::Error;

/// Why a throwaway database could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Use another name.
    #[error("{name:?} is no name for a test database: 1 to 24 of a-z, 0-9 and _, a letter first")]
    Name {
        /// The name.
        name: String,
    },
    /// Postgres refused, or cannot be reached.
    #[error("{doing}")]
    Postgres {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// The caller's migrations failed; the half-made template is made anew the next time.
    #[error("migrate template database {template}")]
    Migrate {
        /// The template.
        template: String,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl DatabaseError {
    /// For `map_err`: Postgres failed while `doing`.
    pub(crate) fn postgres(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Postgres {
            doing: doing.into(),
            source,
        }
    }
}
