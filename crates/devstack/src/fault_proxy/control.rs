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

/// Waits until connections made before reset number `resets + 1` must break.
pub(super) async fn broken(mut control: watch::Receiver<Control>, resets: u64) {
    // An error means that the proxy was dropped, which breaks them too.
    let _ = control
        .wait_for(|control| control.mode == Mode::Cut || control.resets != resets)
        .await;
}

/// Waits until bytes of a connection as old as `resets` may pass.
pub(super) async fn passable(
    control: &mut watch::Receiver<Control>,
    direction: Direction,
    resets: u64,
) {
    let _ = control
        .wait_for(|control| control.passes(direction) && control.resets == resets)
        .await;
}
