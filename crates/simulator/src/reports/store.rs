//! The reports that were asked for.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::document::Kind;
use crate::{call::SellerCall, clock::UnixMs};

/// How many reports are kept; the oldest are forgotten first.
const CAPACITY: usize = 100_000;
const FIRST_ID: u64 = 50_000_019_000;
const QUEUE_S: f64 = 15.0;
const PROCESSING_S: f64 = 45.0;

/// One report.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) kind: Kind,
    pub(crate) seller: u32,
    pub(crate) marketplace_ids: Vec<String>,
    pub(crate) from: UnixMs,
    pub(crate) until: UnixMs,
    pub(crate) created: UnixMs,
    pub(crate) cancelled: bool,
    pub(crate) document_id: String,
}

/// How far a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    InQueue,
    InProgress,
    Done,
    /// On request, or because there is no data.
    Cancelled,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InQueue => "IN_QUEUE",
            Self::InProgress => "IN_PROGRESS",
            Self::Done => "DONE",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl Report {
    pub(crate) fn starts(&self, call: &SellerCall<'_>) -> UnixMs {
        self.created + call.world.pace.ms(QUEUE_S)
    }

    pub(crate) fn ends(&self, call: &SellerCall<'_>) -> UnixMs {
        self.starts(call) + call.world.pace.ms(PROCESSING_S)
    }

    pub(crate) fn status(&self, call: &SellerCall<'_>) -> Status {
        if self.cancelled {
            Status::Cancelled
        } else if call.now < self.starts(call) {
            Status::InQueue
        } else if call.now < self.ends(call) {
            Status::InProgress
        } else if self.rows(call.seller, call.now).next().is_none() {
            Status::Cancelled
        } else {
            Status::Done
        }
    }
}

/// All sellers' reports by id.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    given: u64,
    reports: BTreeMap<u64, Report>,
}

impl Reports {
    pub(crate) fn add(&self, report: Report) -> u64 {
        let mut kept = self.lock();
        if kept.reports.len() == CAPACITY {
            kept.reports.pop_first();
        }
        kept.given += 1;
        let id = FIRST_ID + kept.given;
        kept.reports.insert(id, report);
        id
    }

    pub(crate) fn get(&self, id: u64) -> Option<Report> {
        self.lock().reports.get(&id).cloned()
    }

    pub(crate) fn cancel(&self, id: &u64) {
        if let Some(report) = self.lock().reports.get_mut(id) {
            report.cancelled = true;
        }
    }

    /// A seller's reports, the newest first.
    pub(crate) fn of_seller(&self, seller: u32) -> Vec<(u64, Report)> {
        let kept = self.lock();
        let mine = kept
            .reports
            .iter()
            .rev()
            .filter(|(_, report)| report.seller == seller);
        mine.map(|(id, report)| (*id, report.clone())).collect()
    }

    pub(crate) fn by_document(&self, document_id: &str) -> Option<(u64, Report)> {
        let kept = self.lock();
        let found = kept
            .reports
            .iter()
            .find(|(_, report)| report.document_id == document_id);
        found.map(|(id, report)| (*id, report.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
