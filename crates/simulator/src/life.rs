//! The life of an order: a few moments from which its state at any time follows.

use crate::{
    clock::{Pace, UnixMs},
    dice::Dice,
};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Payment is not authorized yet.
    Pending,
    /// Ready to be shipped.
    Unshipped,
    /// The first of several items is on its way.
    PartiallyShipped,
    /// All of it is on its way.
    Shipped,
    /// All of it has arrived.
    Delivered,
    /// Given up before it was shipped.
    Cancelled,
}

/// Which phases an order passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Ordinary,
    Split,
    Cancelled,
}

impl Course {
    fn phases(self) -> &'static [Phase] {
        use Phase::{Cancelled, Delivered, PartiallyShipped, Pending, Shipped, Unshipped};
        match self {
            Self::Ordinary => &[Pending, Unshipped, Shipped, Delivered],
            Self::Split => &[Pending, Unshipped, PartiallyShipped, Shipped, Delivered],
            Self::Cancelled => &[Pending, Unshipped, Cancelled],
        }
    }
}

/// Marks a step that the course does not have.
const NEVER: UnixMs = i64::MAX;

/// When an order enters each phase of its course.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    course: Course,
    steps: [UnixMs; 5],
}

/// An order's phase and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) phase: Phase,
    pub(crate) since: UnixMs,
}

impl Life {
    /// The life of an order placed at `created`, by a simulator that started at `start_ms`.
    pub(crate) fn draw(dice: &mut Dice, start_ms: UnixMs, created: UnixMs, pace: Pace) -> Self {
        let course = match dice.below(100) {
            0..4 => Course::Cancelled,
            4..10 => Course::Split,
            _ => Course::Ordinary,
        };
        let mut steps = [NEVER; 5];
        let mut at_s = pace.seconds_at_amazon(start_ms, created);
        for (step, phase) in steps.iter_mut().zip(course.phases()) {
            *step = pace.at(start_ms, at_s);
            at_s += duration_s(dice, *phase);
        }
        steps[0] = created;
        Self { course, steps }
    }

    pub(crate) fn created(&self) -> UnixMs {
        self.steps[0]
    }

    /// The stage at `at`; `None` before the order exists.
    pub(crate) fn stage(&self, at: UnixMs) -> Option<Stage> {
        let entered = self.steps.iter().take_while(|step| **step <= at).count();
        let last = entered.checked_sub(1)?;
        Some(Stage {
            phase: self.course.phases()[last],
            since: self.steps[last],
        })
    }

    /// When the order entered `phase`, if it has by `at`.
    pub(crate) fn entered(&self, phase: Phase, at: UnixMs) -> Option<UnixMs> {
        let step = self.course.phases().iter().position(|p| *p == phase)?;
        Some(self.steps[step]).filter(|entered| *entered <= at)
    }
}

/// How long an order stays in `phase`, in seconds at Amazon.
fn duration_s(dice: &mut Dice, phase: Phase) -> f64 {
    const HOUR: f64 = 3_600.0;
    match phase {
        Phase::Pending => dice.between(0.25 * HOUR, 2.0 * HOUR),
        Phase::Unshipped => dice.between(3.0 * HOUR, 48.0 * HOUR),
        Phase::PartiallyShipped => dice.between(2.0 * HOUR, 24.0 * HOUR),
        Phase::Shipped => dice.between(24.0 * HOUR, 120.0 * HOUR),
        Phase::Delivered | Phase::Cancelled => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_only_moves_forward_and_each_change_has_its_time() {
        for index in 0..500 {
            let mut dice = Dice::for_thing(&[index]);
            let life = Life::draw(&mut dice, 1_000_000_000, 999_000_000, Pace::new(60.0));
            assert_eq!(life.stage(life.created() - 1), None);
            let mut last = life.created();
            for phase in life.course.phases() {
                let entered = life.entered(*phase, NEVER - 1).unwrap();
                let stage = Stage {
                    phase: *phase,
                    since: entered,
                };
                assert!(entered >= last);
                assert_eq!(life.stage(entered), Some(stage));
                last = entered;
            }
        }
    }
}
