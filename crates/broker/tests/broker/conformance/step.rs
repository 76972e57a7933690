//! One step of a case.

use std::time::Duration;

use bulkhead_broker::{Fences, PermitAnswer, Stop};
use proptest::{prelude::*, test_runner::TestCaseError};

use super::{
    case::Step,
    world::{LIFETIME, World},
};

impl World {
    pub(super) async fn run(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Ask {
                seller,
                process,
                times,
                backfill,
            } => {
                self.call((seller, process, backfill), times, Duration::ZERO)
                    .await;
            }
            Step::Pause {
                seller,
                process,
                times,
                stopped,
            } => {
                self.call((seller, process, false), times, stopped).await;
            }
            Step::Pass(time) => {
                self.pass(time);
                self.vouch(&[]).await;
            }
            Step::SetClock { forward, by } => {
                for clock in &self.clocks[..1] {
                    if forward {
                        clock.advance(by);
                    } else {
                        clock.rewind(by);
                    }
                }
                // No grantor has watched it.
                self.fences = Fences::new(&self.brokers[0]);
                self.vouch(&[]).await;
            }
            Step::Lose => {
                self.fixture.redis.flush().unwrap();
                self.live().await;
            }
            Step::NoScheduler(time) => {
                self.pass(time);
                let answer = self.ask(0, 0, false).await;
                if time >= LIFETIME {
                    prop_assert!(
                        matches!(answer, PermitAnswer::Stopped(Stop::NoGrant)),
                        "without a scheduler: {answer:?}"
                    );
                } else if let PermitAnswer::Granted(permit) = answer {
                    let at_s = self.now_s + permit.waited().as_secs_f64() + self.jitter();
                    self.arrivals.push((at_s, 0));
                }
                self.fences = Fences::new(&self.brokers[0]);
                self.vouch(&[]).await;
            }
            Step::PausedGrantor => {
                // A grantor reads the clock and Postgres and is stopped. A kill follows that only Postgres remembers.
                let clocks = self.fences.grant_clocks().await.unwrap();
                self.pass(LIFETIME + Duration::from_secs(1));
                self.fences.grant(&clocks, &[], LIFETIME).await.unwrap();
                let answer = self.ask(0, 0, false).await;
                prop_assert!(
                    matches!(answer, PermitAnswer::Stopped(_)),
                    "after a kill: {answer:?}"
                );
                self.vouch(&[]).await;
            }
        }
        Ok(())
    }
}
