use std::time::Duration;

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Open,
    Stalled,
    AnswersStalled,
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Requests,
    Answers,
}

/// What the proxy does at the moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Control {
    pub(super) mode: Mode,
    /// How often all connections were reset.
    pub(super) resets: u64,
    /// How often all connections fell silent.
    pub(super) silences: u64,
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
}

impl Control {
    pub(super) fn passes(&self, direction: Direction) -> bool {
        match self.mode {
            Mode::Open => true,
            Mode::AnswersStalled => direction == Direction::Requests,
            Mode::Stalled | Mode::Cut => false,
        }
    }

    pub(super) fn delay(&self) -> Duration {
        self.latency + self.jitter.mul_f64(rand::random())
    }
}

/// How old a connection is: what had happened to older ones when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age {
    resets: u64,
    silences: u64,
}

impl Age {
    pub(super) fn now(control: &watch::Receiver<Control>) -> Self {
        Self::of(&control.borrow())
    }

    fn of(control: &Control) -> Self {
        Self {
            resets: control.resets,
            silences: control.silences,
        }
    }
}

/// Waits until connections of this age must break.
pub(super) async fn broken(mut control: watch::Receiver<Control>, age: Age) {
    // An error means that the proxy was dropped, which breaks them too.
    let _ = control
        .wait_for(|control| control.mode == Mode::Cut || control.resets != age.resets)
        .await;
}

/// Waits until bytes of a connection of this age may pass: for ever, if it has fallen silent.
pub(super) async fn passable(
    control: &mut watch::Receiver<Control>,
    direction: Direction,
    age: Age,
) {
    let _ = control
        .wait_for(|control| control.passes(direction) && Age::of(control) == age)
        .await;
}
