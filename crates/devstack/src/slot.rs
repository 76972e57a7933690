use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A value that is set once and can be waited for from any thread.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    value: Mutex<Option<T>>,
    set: Condvar,
}

impl<T: Clone> Slot<T> {
    pub(crate) fn new() -> Self {
        Self {
            value: Mutex::new(None),
            set: Condvar::new(),
        }
    }

    pub(crate) fn set(&self, value: T) {
        self.set_locked(&mut self.lock(), value);
    }

    /// Sets the value under a lock that the caller took with [`Slot::lock`].
    pub(crate) fn set_locked(&self, guard: &mut MutexGuard<'_, Option<T>>, value: T) {
        **guard = Some(value);
        self.set.notify_all();
    }

    pub(crate) fn get(&self) -> Option<T> {
        self.lock().clone()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until the value is set, `within` at most.
    pub(crate) fn wait(&self, within: Duration) -> Option<T> {
        let (guard, _) = self
            .set
            .wait_timeout_while(self.lock(), within, |value| value.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        guard.clone()
    }
}

impl<T: Clone + Send + 'static> Slot<T> {
    /// [`Slot::wait`] in real time, also under a runtime's paused clock; may be dropped at any
    /// time.
    pub(crate) async fn wait_async(self: Arc<Self>, within: Duration) -> Option<T> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        // Not `spawn_blocking`: a runtime does not end before its blocking work has.
        std::thread::Builder::new()
            .name("devstack-wait".into())
            .spawn(move || answer.send(self.wait(within)))
            .ok()?;
        answered.await.ok().flatten()
    }
}
