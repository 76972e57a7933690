//! The right to make one Amazon call now.

use std::{fmt, time::Duration};

use bulkhead_domain::{ApplicationId, ConnectionId, FenceEpoch, Operation, TenantId};

use crate::boot_clock::BootInstant;

/// The right to make one call of one operation, before its deadline. Only [`Permits`](crate::Permits) makes it; the
/// method that sends consumes it.
///
/// Dropping it unspent wastes one call of the budget and nothing else.
#[derive(Debug)]
#[must_use = "a permit that is not spent wastes Amazon's budget"]
pub struct Permit {
    operation: &'static Operation,
    deadline: BootInstant,
    waited: Duration,
    #[cfg(feature = "mutants")]
    unchecked: bool,
}

impl Permit {
    /// How long after it was asked for a permit may be spent at most (D). A fence that is older than this lets nothing
    /// through.
    pub const LIFETIME: Duration = Duration::from_millis(500);

    pub(crate) fn new(
        operation: &'static Operation,
        asked_at: BootInstant,
        waited: Duration,
        lateness: Duration,
    ) -> Self {
        let lifetime = waited.saturating_add(lateness).min(Self::LIFETIME);
        Self {
            operation,
            deadline: asked_at.after(lifetime),
            waited,
            #[cfg(feature = "mutants")]
            unchecked: false,
        }
    }

    /// The same after `by` has passed: a test's pause.
    #[cfg(feature = "mutants")]
    #[doc(hidden)]
    pub fn aged(self, by: Duration) -> Self {
        Self {
            deadline: self.deadline.before(by),
            ..self
        }
    }

    #[cfg(feature = "mutants")]
    pub(crate) const fn unchecked(mut self, unchecked: bool) -> Self {
        self.unchecked = unchecked;
        self
    }

    /// The call that it permits.
    #[must_use]
    pub const fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// How long its slot was ahead when it was asked for.
    #[must_use]
    pub const fn waited(&self) -> Duration {
        self.waited
    }

    /// Until when it may be spent.
    #[must_use]
    pub const fn deadline(&self) -> BootInstant {
        self.deadline
    }

    /// Spends it, right before the bytes leave.
    ///
    /// # Errors
    /// [`PermitExpired`]: send nothing and ask for another one; between the grant and now something may have been
    /// stopped.
    pub fn spend(self) -> Result<(), PermitExpired> {
        #[cfg(feature = "mutants")]
        if self.unchecked {
            return Ok(());
        }
        if self.deadline.has_passed() {
            return Err(PermitExpired {
                operation: self.operation,
            });
        }
        Ok(())
    }
}

/// The permit's deadline passed before the request left.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the permit for {operation} expired before it was spent")]
pub struct PermitExpired {
    /// The call that it was for.
    pub operation: &'static Operation,
}

/// On whose behalf a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PermitSubject {
    /// The application that calls.
    pub application: ApplicationId,
    /// The customer.
    pub tenant: TenantId,
    /// The seller's authorization.
    pub connection: ConnectionId,
    /// That of their fences when the call's credentials were read.
    pub epoch: FenceEpoch,
}

/// What a request for a permit is answered.
#[derive(Debug)]
pub enum PermitAnswer {
    /// Call now.
    Granted(Permit),
    /// The budget is used up for this long from now: give the slot back (snooze, parking the lane).
    WaitUntil(Duration),
    /// Nothing may be called until something else changes.
    Stopped(Stop),
}

/// What stops a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Redis has lost its data, or is new, and the fences have not been rebuilt. Snooze for a few seconds.
    NoBootNonce,
    /// The application is stopped.
    Application(ApplicationId),
    /// The tenant is stopped.
    Tenant(TenantId),
    /// The connection is stopped.
    Connection(ConnectionId),
    /// No scheduler has vouched for the fences lately. Snooze for a few seconds.
    NoGrant,
    /// A fence was released since the credentials were read: read them again.
    Epoch,
    /// The job's lease is no longer the newest: drop the job and write nothing more.
    LeaseLost,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBootNonce => {
                f.write_str("the fences have not been rebuilt since Redis lost its data")
            }
            Self::Application(id) => write!(f, "application {id} is stopped"),
            Self::Tenant(id) => write!(f, "tenant {id} is stopped"),
            Self::Connection(id) => write!(f, "connection {id} is stopped"),
            Self::NoGrant => f.write_str("no scheduler has vouched for the fences lately"),
            Self::Epoch => f.write_str("a fence was released since the credentials were read"),
            Self::LeaseLost => f.write_str("the lease is no longer the newest"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_domain::operation::GET_ORDER;

    #[test]
    fn a_permit_is_good_until_its_deadline_and_not_after() {
        let (slot, late) = (Duration::from_millis(100), Duration::from_millis(50));
        let permit = || Permit::new(&GET_ORDER, BootInstant::now(), slot, late);
        assert!(permit().spend().is_ok());
        assert!(permit().aged(Duration::from_millis(150)).spend().is_err());
        let whole = || Permit::new(&GET_ORDER, BootInstant::now(), slot, Permit::LIFETIME);
        assert!(whole().aged(Duration::from_millis(300)).spend().is_ok());
        assert!(whole().aged(Permit::LIFETIME).spend().is_err());
    }
}
