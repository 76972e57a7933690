use std::sync::Arc;
use std::time::Duration;

use crate::template::{connect, execute};
use crate::{Cluster, DatabaseError};

const REMOVED_WITHIN: Duration = Duration::from_secs(10);

/// A throwaway database, removed when this value is dropped (best effort) or closed.
#[derive(Debug)]
pub struct Database {
    cluster: Arc<Cluster>,
    name: String,
    closed: bool,
}

impl Database {
    pub(crate) fn new(cluster: Arc<Cluster>, name: String) -> Self {
        Self {
            cluster,
            name,
            closed: false,
        }
    }

    /// Its name, unique in the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A role's URL.
    pub fn url(&self, role: &str) -> String {
        self.cluster.url(role, &self.name)
    }

    /// The superuser's URL.
    pub fn admin_url(&self) -> String {
        self.cluster.admin_url(&self.name)
    }

    /// Ends every session on it and removes it.
    ///
    /// # Errors
    /// [`DatabaseError::Postgres`].
    pub async fn close(mut self) -> Result<(), DatabaseError> {
        self.closed = true;
        remove(&self.cluster, &self.name).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let (cluster, name) = (Arc::clone(&self.cluster), std::mem::take(&mut self.name));
        // On a thread and runtime of its own: the caller's runtime may be ending, and a drop cannot
        // await.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let _ = tokio::time::timeout(REMOVED_WITHIN, remove(&cluster, &name)).await;
            });
            Ok::<_, std::io::Error>(())
        });
        let _ = removal.join();
    }
}

async fn remove(cluster: &Cluster, name: &str) -> Result<(), DatabaseError> {
    let mut admin = connect(cluster).await?;
    execute(
        &mut admin,
        &format!("drop database if exists {name} with (force)"),
    )
    .await
}
