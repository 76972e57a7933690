//! The queues of the classes that have jobs.

use std::collections::BTreeSet;

use bulkhead_broker::{Broker, InspectError, JobEntry};
use bulkhead_domain::{Class, JobId, JobKind};

/// The classes that have jobs.
#[must_use]
pub fn classes() -> Vec<Class> {
    let classes: BTreeSet<Class> = JobKind::ALL.into_iter().map(JobKind::class).collect();
    classes.into_iter().collect()
}

/// One connection to Redis, for every class.
#[derive(Debug, Clone)]
pub struct Queues(Vec<Broker>);

impl Queues {
    /// The queues over `broker`'s connection.
    #[must_use]
    pub fn new(broker: Broker) -> Self {
        let queues = classes()
            .into_iter()
            .map(|class| broker.for_class(class))
            .collect();
        drop(broker);
        Self(queues)
    }

    /// Each queue.
    pub fn each(&self) -> impl Iterator<Item = &Broker> {
        self.0.iter()
    }

    /// The queues of some classes.
    pub fn in_classes(&self, classes: &[Class]) -> impl Iterator<Item = &Broker> {
        self.0
            .iter()
            .filter(move |queue| classes.contains(&queue.class()))
    }

    /// The queue of a kind of jobs.
    pub fn of(&self, kind: JobKind) -> impl Iterator<Item = &Broker> {
        self.0
            .iter()
            .filter(move |queue| queue.class() == kind.class())
    }

    /// A job of this kind, wherever it is.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn job(&self, kind: JobKind, id: JobId) -> Result<Option<JobEntry>, InspectError> {
        for queue in self.of(kind) {
            if let Some(entry) = queue.job(id).await? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}
