//! A worker's transaction inside the job it has entered.

use bulkhead_domain::{ConnectionId, FenceEpoch, FencingToken, JobId, TenantId};
use jiff::civil::Date;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::{
    answer::{count, within},
    connect::Store,
    error::StoreError,
};

/// Which job, and by which lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobRef {
    /// Whose data.
    pub tenant: TenantId,
    /// Through which authorization.
    pub connection: ConnectionId,
    /// The obligation's id.
    pub job: JobId,
    /// The obligation's partition.
    pub day: Date,
    /// The lease's number.
    pub token: FencingToken,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// What came of entering a job.
#[derive(Debug)]
#[must_use]
pub enum Entered {
    /// Inside: this transaction may touch the rows of the job's tenant and connection.
    Job(JobTx),
    /// The obligation is met: acknowledge and forget.
    AlreadyDone,
    /// A newer lease has entered: stop at once and write nothing more.
    Fenced,
    /// A fence or the connection's state forbids it: try again later; it may be released.
    Stopped,
    /// Withdrawn, or given up: acknowledge and forget.
    Cancelled,
}

/// Why a job was not entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// No obligation of this class has this id, tenant, connection and day: a job that nobody owes. Dead-letter it.
    #[error("job {job} is not owed")]
    Unknown {
        /// The job.
        job: JobId,
    },
    /// As any statement; unavailable also while an older lease's transaction holds the row.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a job ended, as its obligation remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Met.
    Done,
    /// Given up.
    Dead(&'a str),
    /// Not needed any more.
    Discarded(&'a str),
    /// Failed for now; its job will be tried again.
    Failed(&'a str),
}

/// One transaction inside an entered job. Everything in it happens at [`JobTx::commit`], or, when it is dropped, not.
///
/// The server ends it after ten idle seconds: call nothing else while it is open.
#[derive(Debug)]
pub struct JobTx {
    transaction: Transaction<'static, Postgres>,
    entered: JobRef,
    epoch: FenceEpoch,
}

impl Store {
    /// Begins a transaction and enters the job in it. For the logins of workers.
    ///
    /// # Errors
    /// [`EnterError`].
    pub async fn enter(&self, job: &JobRef) -> Result<Entered, EnterError> {
        const DOING: &str = "enter a job";
        let mut transaction = within(DOING, self.pool.begin()).await?;
        let enter = sqlx::query_file!(
            "queries/session/enter.sql",
            job.tenant.uuid(),
            job.connection.uuid(),
            job.job.uuid(),
            job.day.to_sqlx() as _,
            job.token.as_i64(),
            i32::try_from(job.attempt).unwrap_or(i32::MAX),
        );
        let answer = within(DOING, enter.fetch_one(&mut *transaction)).await?;
        match answer.word.as_str() {
            "ENTERED" => Ok(Entered::Job(JobTx {
                transaction,
                entered: *job,
                epoch: FenceEpoch::new(count(answer.epoch)),
            })),
            "DONE" => Ok(Entered::AlreadyDone),
            "FENCED" => Ok(Entered::Fenced),
            "STOPPED" => Ok(Entered::Stopped),
            "CANCELLED" => Ok(Entered::Cancelled),
            _ => Err(EnterError::Unknown { job: job.job }),
        }
    }
}

impl JobTx {
    /// The job that was entered.
    #[must_use]
    pub const fn job(&self) -> &JobRef {
        &self.entered
    }

    /// That of the job's fences when it was entered: a permit for calls with credentials that are read in this
    /// transaction needs it.
    #[must_use]
    pub const fn epoch(&self) -> FenceEpoch {
        self.epoch
    }

    /// Notes how the job ended; takes effect with the commit.
    ///
    /// # Errors
    /// As any statement.
    pub async fn finish(&mut self, outcome: Outcome<'_>) -> Result<(), StoreError> {
        let (word, error) = match outcome {
            Outcome::Done => ("done", None),
            Outcome::Dead(error) => ("dead", Some(error)),
            Outcome::Discarded(error) => ("cancelled", Some(error)),
            Outcome::Failed(error) => ("failed", Some(error)),
        };
        let finish = sqlx::query_file!("queries/session/finish.sql", word, error);
        within("finish a job", finish.fetch_one(self.sql())).await?;
        Ok(())
    }

    /// Makes everything of this transaction happen.
    ///
    /// # Errors
    /// Nothing happened, or, for [`StoreError::Unavailable`], it is unknown: enter again to find out.
    pub async fn commit(self) -> Result<(), StoreError> {
        within("commit a job's transaction", self.transaction.commit()).await
    }

    pub(crate) fn sql(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    pub(crate) const fn tenant(&self) -> Uuid {
        self.entered.tenant.uuid()
    }

    pub(crate) const fn connection(&self) -> Uuid {
        self.entered.connection.uuid()
    }
}
