//! Faults on request: which requests go wrong, and how.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{dice::Dice, world::Grant};

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// 429 QuotaExceeded.
    #[serde(alias = "429")]
    Throttle,
    /// 429 in the words with which Amazon refuses what is too much of an application over all its sellers.
    ThrottleApplication,
    /// 500 InternalFailure.
    #[serde(rename = "500")]
    InternalError,
    /// 503 with an HTML page.
    #[serde(rename = "503html", alias = "503")]
    UnavailableHtml,
    /// No answer, however long the client waits.
    Timeout,
    /// The answer waits until faults are deleted; nothing goes wrong with it.
    Hold,
    /// The connection is reset (TCP RST) before an answer.
    Reset,
    /// The answer's headers and half of its body, then the end of the connection.
    Truncate,
    /// The seller's access tokens are expired; new ones are given.
    ExpireTokens,
    /// The seller has withdrawn its authorization; no tokens are given any more.
    Revoke,
}

impl Kind {
    /// Faults that change a seller's grant, and not only the request at hand.
    pub(crate) fn is_lasting(self) -> bool {
        matches!(self, Self::ExpireTokens | Self::Revoke)
    }

    /// What a lasting fault does to a seller's grant; nothing for the others.
    pub(crate) fn apply(self, grant: &Grant) {
        match self {
            Self::ExpireTokens => grant.expire_tokens(),
            Self::Revoke => grant.set_revoked(true),
            _ => {}
        }
    }
}

/// A fault that waits for requests.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// Position in the table of operations; `None`: any.
    #[serde(skip)]
    pub(crate) operation: Option<usize>,
    #[serde(skip)]
    pub(crate) seller: Option<u32>,
    /// Matching requests that pass before it begins.
    pub(crate) after: u64,
    /// Requests that it still hits; `None`: all, until faults are deleted.
    pub(crate) count: Option<u64>,
    /// Of the matching requests, how many it hits: 1 is all.
    pub(crate) probability: f64,
    /// Requests that it has hit.
    pub(crate) hits: u64,
}

/// The faults that are armed, in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Faults {
    armed: Mutex<(Vec<Fault>, Dice)>,
    /// How often they were deleted.
    cleared: watch::Sender<u64>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            armed: Mutex::new((Vec::new(), Dice::for_thing(&[seed, 0xFA17]))),
            cleared: watch::Sender::new(0),
        }
    }

    pub(crate) fn add(&self, fault: Fault) {
        self.lock().0.push(fault);
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.lock().0.clone()
    }

    pub(crate) fn clear(&self) {
        self.lock().0.clear();
        self.cleared.send_modify(|times| *times += 1);
    }

    /// Notes now how often they were deleted; what it returns waits for the next time.
    pub(crate) fn until_cleared(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut cleared = self.cleared.subscribe();
        async move {
            // It lives as long as the simulator.
            let _ = cleared.changed().await;
        }
    }

    /// What goes wrong with this request: the first armed fault that matches and is due.
    pub(crate) fn strike(&self, operation: usize, seller: Option<u32>) -> Option<Kind> {
        let mut guard = self.lock();
        let (faults, dice) = &mut *guard;
        let strike = |fault: &mut Fault| {
            let struck = fault.matches(operation, seller) && fault.hit(dice);
            struck.then_some(fault.kind)
        };
        faults.iter_mut().find_map(strike)
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<Fault>, Dice)> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fault {
    fn matches(&self, operation: usize, seller: Option<u32>) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation)
            && self.seller.is_none_or(|wanted| Some(wanted) == seller)
    }

    fn hit(&mut self, dice: &mut Dice) -> bool {
        if self.count == Some(0) {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        let hit = self.probability >= 1.0 || dice.unit() < self.probability;
        if hit {
            self.hits += 1;
            self.count = self.count.map(|count| count - 1);
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(after: u64, count: Option<u64>) -> Fault {
        Fault {
            kind: Kind::Reset,
            operation: Some(2),
            seller: None,
            after,
            count,
            probability: 1.0,
            hits: 0,
        }
    }

    #[test]
    fn a_fault_begins_after_so_many_requests_and_ends_after_its_count() {
        let faults = Faults::new(1);
        faults.add(fault(2, Some(3)));
        let struck: Vec<_> = (0..8).map(|_| faults.strike(2, None).is_some()).collect();
        assert_eq!(
            struck,
            [false, false, true, true, true, false, false, false]
        );
    }

    #[test]
    fn a_fault_hits_only_its_operation() {
        let faults = Faults::new(1);
        faults.add(fault(0, None));
        assert_eq!(faults.strike(1, Some(1)), None);
        assert_eq!(faults.strike(2, Some(1)), Some(Kind::Reset));
    }
}
