//! What Amazon's model says of the calls: none is over a limit, and none less than the plan allows.

use std::time::Duration;

use bulkhead_broker::PermitAnswer;
use bulkhead_domain::{Gcra, UsagePlan};
use proptest::{prelude::*, test_runner::TestCaseError};

use super::{
    case::{Case, SELLERS},
    server_bucket::ServerBucket,
    world::World,
};

impl World {
    /// The first call that Amazon would have refused.
    pub(super) fn refused(&mut self, case: &Case) -> Option<String> {
        self.arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut own: Vec<ServerBucket> =
            (0..SELLERS).map(|_| ServerBucket::new(case.plan)).collect();
        let mut shared = case.shared.map(ServerBucket::new);
        for (at_s, seller) in &self.arrivals {
            let by_amazon = at_s * (1.0 + self.drift.1);
            if !own[*seller].take(by_amazon) {
                return Some(format!("seller {seller} at {at_s} s: {:?}", own[*seller]));
            }
            if let Some(shared) = &mut shared
                && !shared.take(by_amazon)
            {
                return Some(format!("the application at {at_s} s: {shared:?}"));
            }
        }
        None
    }

    /// Whether a seller that asks all the time gets what the plan allows.
    pub(super) async fn keeps_up(&mut self, case: &Case) -> Result<(), TestCaseError> {
        const CALLS: u32 = 20;
        let schedule =
            |plan: (f64, u32)| Gcra::for_plan(UsagePlan::new(plan.0, plan.1), self.margins);
        let own = schedule(case.plan);
        let shared = case.shared.map(schedule);
        let part = u32::from(case.shards);
        let interval = shared.map_or(own.emission_interval, |shared| {
            // Turns may fall between two of the seller's slots.
            own.emission_interval + shared.emission_interval * part
        });
        let fills = own.tolerance + shared.map_or(Duration::ZERO, |shared| shared.tolerance);
        let allowed = fills + interval * (CALLS + 4) + Duration::from_secs(2);
        let begun_s = self.now_s;
        let mut calls = 0;
        while calls < CALLS {
            match self.ask(0, 0, false).await {
                PermitAnswer::Granted(permit) => {
                    let at_s = self.now_s + permit.waited().as_secs_f64() + self.jitter();
                    self.arrivals.push((at_s, 0));
                    calls += 1;
                }
                PermitAnswer::WaitUntil(wait) => {
                    self.pass(wait);
                    self.vouch(&[]).await;
                }
                PermitAnswer::Stopped(stop) => prop_assert!(false, "{stop}"),
            }
            let took_s = self.now_s - begun_s;
            prop_assert!(
                took_s <= allowed.as_secs_f64() * 1.01,
                "{calls} calls in {took_s} s, allowed {allowed:?}"
            );
        }
        Ok(())
    }
}
