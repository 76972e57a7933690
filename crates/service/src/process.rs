//! What a binary is.

use bulkhead_domain::Class;

use crate::config::Need;

/// The identity of a process in logs, traces and metrics, and what it cannot start without.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// The name of the binary, as in `bulkhead-sync`.
    pub name: &'static str,
    /// What `--help` says first.
    pub about: &'static str,
    /// The class of jobs it runs; the scheduler and the CLI have none.
    pub class: Option<Class>,
    /// Settings that must not be missing.
    pub needs: &'static [Need],
    /// Whether it stays up: a tool has no health port.
    pub stays_up: bool,
}

impl Process {
    /// A process that stays up.
    #[must_use]
    pub const fn new(name: &'static str) -> Process {
        Process {
            name,
            about: "",
            class: None,
            needs: &[],
            stays_up: true,
        }
    }

    /// A command that ends by itself: no health port, no metrics; it logs warnings, for people,
    /// whatever the fleet's file says about logs.
    #[must_use]
    pub const fn tool(name: &'static str) -> Process {
        Process {
            name,
            about: "",
            class: None,
            needs: &[],
            stays_up: false,
        }
    }

    /// What `--help` says first.
    #[must_use]
    pub const fn about(self, about: &'static str) -> Process {
        Process { about, ..self }
    }

    /// Runs jobs of this class.
    #[must_use]
    pub const fn class(self, class: Class) -> Process {
        Process {
            class: Some(class),
            ..self
        }
    }

    /// Cannot start without these settings.
    #[must_use]
    pub const fn needs(self, needs: &'static [Need]) -> Process {
        Process { needs, ..self }
    }
}
