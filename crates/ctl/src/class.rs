//! Which classes of workers a command is for.

use bulkhead_domain::{Class, JobKind};
use clap::builder::TypedValueParser;

use crate::{choice::choice, queues};

/// One class, or all that have jobs.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Classes {
    /// Only in this class; otherwise in every one
    #[arg(long, value_parser = class())]
    class: Option<Class>,
}

impl Classes {
    /// The classes.
    #[must_use]
    pub fn meant(self) -> Vec<Class> {
        self.class.map_or_else(queues::classes, |class| vec![class])
    }
}

/// Takes a class that has jobs; for clap.
pub fn class() -> impl TypedValueParser<Value = Class> {
    choice::<Class, _>(JobKind::ALL.map(|kind| kind.class().as_str()))
}

/// `sync, token`
#[must_use]
pub fn listed(classes: &[Class]) -> String {
    let names: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
    names.join(", ")
}
