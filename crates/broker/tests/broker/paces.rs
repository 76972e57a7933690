//! Where Amazon publishes nothing and answers with `Retry-After`, as the Ads API does: refusals teach a pace.

use std::time::Duration;

use bulkhead_broker::{PermitAnswer, Permits, PlanFilter, PlanSource};
use bulkhead_domain::{Margins, Operation};

use crate::{
    fixture::connection,
    permits::{ready, subject},
};

static CREATE_REPORT: Operation = Operation {
    api: "ads",
    version: "reporting-v3",
    name: "createReport",
    plan: None,
    application_plan: None,
};

/// What Amazon lets through for a profile, which it tells nobody.
const RATE_PER_S: f64 = 0.4;
const BURST: f64 = 4.0;
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long an answer takes.
const ANSWER: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct Profile {
    taken: f64,
    at_s: f64,
    refused_at_s: Vec<f64>,
    calls_at_s: Vec<f64>,
}

impl Profile {
    /// Whether a call that arrives now is let through.
    fn answers(&mut self, at_s: f64) -> bool {
        if let Some(refused_at_s) = self.refused_at_s.last() {
            let since = at_s - refused_at_s;
            assert!(
                since >= RETRY_AFTER.as_secs_f64(),
                "asked again after {since} s"
            );
        }
        self.taken = (self.taken - (at_s - self.at_s) * RATE_PER_S).max(0.0);
        self.at_s = at_s;
        if self.taken + 1.0 > BURST {
            self.refused_at_s.push(at_s);
            return false;
        }
        self.taken += 1.0;
        self.calls_at_s.push(at_s);
        true
    }
}

#[tokio::test]
pub(crate) async fn where_nothing_is_published_a_connection_settles_at_the_pace_that_amazon_lets_through()
 {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    let mut profile = Profile::default();
    let mut now = Duration::ZERO;
    let hour = Duration::from_secs(3_600);
    while now < 3 * hour {
        let asked = permits.request(&lease, &subject(1), &CREATE_REPORT).await;
        let wait = match asked.unwrap() {
            PermitAnswer::Granted(permit) => {
                let slot = now + permit.waited();
                if !profile.answers(slot.as_secs_f64()) {
                    permits
                        .throttled(&lease, &subject(1), &CREATE_REPORT, Some(RETRY_AFTER))
                        .await
                        .unwrap();
                }
                permit.waited() + ANSWER
            }
            PermitAnswer::WaitUntil(wait) => wait,
            other => panic!("{other:?}"),
        };
        fixture.clock.advance(wait);
        now += wait;
    }
    let later = |times: &[f64]| times.iter().filter(|at| **at > hour.as_secs_f64()).count();
    let (calls, refused) = (later(&profile.calls_at_s), later(&profile.refused_at_s));
    // Two hours of it.
    assert!(calls as f64 > 0.7 * RATE_PER_S * 7_200.0, "{calls} calls");
    assert!(refused <= 15, "{refused} refusals");
    let plans = fixture.broker.plans(&PlanFilter::default()).await.unwrap();
    assert_eq!(plans.len(), 1, "{plans:?}");
    assert_eq!(plans[0].source, PlanSource::Paced);
    assert!((RATE_PER_S / 3.0..RATE_PER_S * 3.0).contains(&plans[0].in_force.rate_per_s));
}

#[tokio::test]
async fn a_pace_is_of_one_connection_halves_down_to_a_bound_and_is_forgotten() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    let refuse = async || {
        permits
            .throttled(&lease, &subject(1), &CREATE_REPORT, None)
            .await
            .unwrap();
    };
    let wait = async |n| {
        let mut subject = subject(1);
        subject.connection = connection(n);
        match permits.request(&lease, &subject, &CREATE_REPORT).await {
            Ok(PermitAnswer::WaitUntil(wait)) => wait.as_secs_f64(),
            Ok(PermitAnswer::Granted(permit)) => permit.waited().as_secs_f64(),
            other => panic!("{other:?}"),
        }
    };
    for seconds in [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0] {
        refuse().await;
        // Another one of the same moment is the same.
        refuse().await;
        let next = wait(1).await;
        assert!((0.95 * seconds..1.05 * seconds).contains(&next), "{next}");
        fixture.clock.advance(Duration::from_secs(1));
    }
    assert!(wait(2).await < 1e-9, "another profile");
    let plans = fixture.broker.plans(&PlanFilter::default()).await.unwrap();
    assert!(plans[0].why.contains("nothing is published"), "{plans:?}");
    // 1/64 s doubled nine times.
    fixture.clock.advance(Duration::from_secs(90 * 60));
    wait(1).await;
    assert!(wait(1).await < 0.2);
    fixture.clock.advance(Duration::from_secs(10 * 60));
    for _ in 0..100 {
        assert!(wait(1).await < 1e-9, "it is forgotten");
    }
}
