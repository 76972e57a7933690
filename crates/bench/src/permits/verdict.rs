//! What arrived, against what the plan allowed.

use serde::Serialize;

use super::{
    demand::Demand,
    model_bucket::{Event, lets_through},
    shape::{SHAPES, Shape},
    trial::{Outcome, TrialLane, seconds},
};
use crate::sample::count_f64;

/// How one plan was used at one jitter.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    pub(crate) plan: String,
    pub(crate) jitter_ms: u64,
    /// Requests that were answered, and requests that were refused.
    pub(crate) accepted: usize,
    pub(crate) throttled: usize,
    /// What the plan allowed in the same time.
    pub(crate) allowed: usize,
    pub(crate) utilisation: f64,
    /// For a bucket of one: the rate of arrivals over r/(1 + rJ), J with the machine's own part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) of_attainable: Option<f64>,
}

/// What is needed besides the arrivals.
pub(crate) struct Terms<'a> {
    pub(crate) demand: Demand,
    pub(crate) window_s: f64,
    /// The machine's own part of the jitter, ms.
    pub(crate) allowance_ms: u64,
    /// What happened to every bucket of a shape.
    pub(crate) events: &'a dyn Fn(&Shape) -> Vec<(f64, Event)>,
}

#[derive(Default)]
struct Sum {
    accepted: usize,
    throttled: usize,
    allowed: usize,
    gaps: usize,
    gaps_s: f64,
}

/// One verdict for each shape and jitter.
pub(crate) fn verdicts(outcome: &Outcome, terms: &Terms<'_>) -> Vec<Verdict> {
    let mut jitters: Vec<_> = outcome.lanes.iter().map(|lane| lane.jitter_ms).collect();
    jitters.sort_unstable();
    jitters.dedup();
    let pairs = SHAPES
        .iter()
        .flat_map(|shape| jitters.iter().map(move |jitter| (shape, *jitter)));
    pairs
        .map(|(shape, jitter_ms)| verdict(outcome, terms, shape, jitter_ms))
        .collect()
}

fn verdict(outcome: &Outcome, terms: &Terms<'_>, shape: &Shape, jitter_ms: u64) -> Verdict {
    let mut sum = Sum::default();
    let lanes: Vec<_> = outcome
        .lanes
        .iter()
        .filter(|lane| lane.jitter_ms == jitter_ms)
        .collect();
    for (position, lane) in lanes.iter().enumerate() {
        // Windows end evenly over one interval: otherwise all buckets are cut off at the same point of it, and up to
        // a whole call each is won or lost by where that is.
        let part = (count_f64(position) + 0.5) / count_f64(lanes.len());
        let window_s = terms.window_s - lane.starts_s - part / shape.plan().rate_per_s;
        sum.add(outcome, terms, shape, lane, window_s);
    }
    let plan = shape.plan();
    let jitter_ms_in_all = jitter_ms + terms.allowance_ms;
    let jitter_s = seconds(i64::try_from(jitter_ms_in_all * 1_000).unwrap_or(0));
    let attainable = plan.rate_per_s / (1.0 + plan.rate_per_s * jitter_s);
    Verdict {
        plan: shape.name(),
        jitter_ms,
        accepted: sum.accepted,
        throttled: sum.throttled,
        allowed: sum.allowed,
        utilisation: count_f64(sum.accepted) / count_f64(sum.allowed),
        of_attainable: (plan.burst == 1).then(|| count_f64(sum.gaps) / sum.gaps_s / attainable),
    }
}

impl Sum {
    fn add(
        &mut self,
        outcome: &Outcome,
        terms: &Terms<'_>,
        shape: &Shape,
        lane: &TrialLane,
        window_s: f64,
    ) {
        let arrivals = outcome.arrivals.of(&lane.consent, shape);
        let accepted: Vec<_> = arrivals
            .iter()
            .filter(|arrival| !arrival.throttled)
            .map(|arrival| seconds(arrival.at_us - outcome.started_us) - lane.starts_s)
            .collect();
        self.throttled += arrivals.len() - accepted.len();
        self.accepted += accepted.iter().filter(|at| **at <= window_s).count();
        let demand = terms
            .demand
            .times(shape.plan(), lane.number, terms.window_s);
        let events: Vec<_> = (terms.events)(shape)
            .into_iter()
            .map(|(at, event)| (at - lane.starts_s, event))
            .collect();
        self.allowed += lets_through(shape.plan(), &demand, &events, window_s);
        if let [first, .., last] = accepted.as_slice() {
            self.gaps += accepted.len() - 1;
            self.gaps_s += last - first;
        }
    }
}

/// The lowest utilisation of a plan with a burst, and the lowest part of what is attainable without one.
pub(crate) fn lowest(verdicts: &[Verdict]) -> (f64, f64) {
    let (one, more): (Vec<_>, Vec<_>) = verdicts
        .iter()
        .partition(|verdict| verdict.of_attainable.is_some());
    (
        more.iter()
            .map(|verdict| verdict.utilisation)
            .fold(f64::INFINITY, f64::min),
        one.iter()
            .filter_map(|verdict| verdict.of_attainable)
            .fold(f64::INFINITY, f64::min),
    )
}

/// All requests that were refused.
pub(crate) fn throttled(verdicts: &[Verdict]) -> usize {
    verdicts.iter().map(|verdict| verdict.throttled).sum()
}
