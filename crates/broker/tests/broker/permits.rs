//! Amazon's budget: never over it.

use std::time::Duration;

use bulkhead_broker::{
    Broker, BrokerClock, BrokerOptions, Fences, Lease, PermitAnswer, PermitSubject, Permits,
    TestClock,
};
use bulkhead_domain::{
    ApplicationId, Class, FenceEpoch, Margins, Operation, UsagePlan,
    operation::{GET_ORDER, GET_ORDERS_V0, SEARCH_ORDERS},
};
use proptest::{prelude::*, test_runner::TestRunner};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, Worker, connection, grant, job, open, tenant},
    random::runner,
};

pub(crate) fn subject(application: u128) -> PermitSubject {
    PermitSubject {
        application: ApplicationId::new(Uuid::from_u128(application)),
        tenant: tenant(1),
        connection: connection(1),
        epoch: FenceEpoch::NEVER_FENCED,
    }
}

/// A fixture with a nonce, whose leases outlast every test, and a lease.
pub(crate) async fn ready() -> (Fixture, Lease) {
    let fixture =
        Fixture::with(|options| options.visibility_timeout = Duration::from_secs(1 << 30)).await;
    open(&fixture.broker, "first").await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let lease = fixture.fetch(&mut Worker::named("a"), 1).await[0]
        .lease
        .clone();
    (fixture, lease)
}

pub(crate) async fn granted(
    permits: &Permits,
    lease: &Lease,
    operation: &'static Operation,
) -> usize {
    let mut count = 0;
    while let PermitAnswer::Granted(_) = permits
        .request(lease, &subject(1), operation)
        .await
        .unwrap()
    {
        count += 1;
        assert!(count < 1_000, "no budget ends");
    }
    count
}

#[tokio::test]
pub(crate) async fn a_bucket_starts_empty_and_fills_up_to_the_usable_burst() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    assert_eq!(granted(&permits, &lease, &SEARCH_ORDERS).await, 0);
    fixture.clock.advance(Duration::from_secs(179));
    assert_eq!(granted(&permits, &lease, &SEARCH_ORDERS).await, 1);
    fixture.clock.advance(Duration::from_secs(7 * 3_600));
    // The last of the 20 is a slot ahead by the jitter's share.
    assert_eq!(granted(&permits, &lease, &SEARCH_ORDERS).await, 20);
    assert_eq!(
        granted(&permits, &lease, &GET_ORDERS_V0).await,
        20,
        "a bucket that was never used has filled since the nonce was established"
    );
}

#[tokio::test]
pub(crate) async fn buckets_are_apart_by_application_connection_and_operation() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    fixture.clock.advance(Duration::from_secs(3_600));
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 30);
    for _ in 0..30 {
        let answer = permits
            .request(&lease, &subject(2), &GET_ORDER)
            .await
            .unwrap();
        assert!(matches!(answer, PermitAnswer::Granted(_)));
    }
    let mut elsewhere = subject(1);
    elsewhere.connection = connection(2);
    let answer = permits
        .request(&lease, &elsewhere, &GET_ORDER)
        .await
        .unwrap();
    assert!(matches!(answer, PermitAnswer::Granted(_)));
}

#[tokio::test]
pub(crate) async fn a_new_nonce_empties_every_bucket() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    fixture.clock.advance(Duration::from_secs(3_600));
    open(&fixture.broker, "second").await;
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 0);
}

#[tokio::test]
pub(crate) async fn the_same_nonce_again_empties_no_bucket() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    fixture.clock.advance(Duration::from_secs(3_600));
    let fences = Fences::new(&fixture.broker);
    fences.establish("first", None).await.unwrap();
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 30);
}

#[tokio::test]
pub(crate) async fn a_clock_that_goes_back_does_not_shut_a_bucket_for_as_long() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    fixture.clock.advance(Duration::from_secs(3_600));
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 30);
    fixture.clock.rewind(Duration::from_secs(3_000));
    grant(&fixture.broker).await;
    let answer = permits
        .request(&lease, &subject(1), &GET_ORDER)
        .await
        .unwrap();
    let PermitAnswer::WaitUntil(wait) = answer else {
        panic!("{answer:?}");
    };
    assert!(wait < Duration::from_secs(3), "{wait:?}");
}

#[tokio::test]
pub(crate) async fn a_refusal_by_amazon_empties_the_bucket_and_steps_down_by_one() {
    let (fixture, lease) = ready().await;
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    fixture.clock.advance(Duration::from_secs(3_600));
    permits
        .throttled(&lease, &subject(1), &GET_ORDER, None)
        .await
        .unwrap();
    permits
        .throttled(&lease, &subject(1), &GET_ORDER, None)
        .await
        .unwrap();
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 0);
    fixture.clock.advance(Duration::from_millis(1_700));
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 0);
    fixture.clock.advance(Duration::from_millis(350));
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 1);
    // One call of 30 is back after 3⅓ minutes.
    fixture.clock.advance(Duration::from_secs(2 * 60));
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 29);
    fixture.clock.advance(Duration::from_secs(3 * 60));
    assert_eq!(granted(&permits, &lease, &GET_ORDER).await, 30);
}

#[tokio::test]
pub(crate) async fn a_short_wait_is_reserved_and_slept_out_and_a_long_one_is_said() {
    let (fixture, _) = ready().await;
    let clock = TestClock::running();
    let options = {
        let mut options = BrokerOptions::new(fixture.redis.url().into());
        options.shards = 1;
        options.clock = BrokerClock::Injected(clock.clone());
        options
    };
    // Redis's own time is far from the test's: a nonce under it, and buckets that start empty now.
    let broker = Broker::connect(&options, Class::Sync).await.unwrap();
    let started = std::time::Instant::now();
    open(&broker, "second").await;
    // Behind what may have been reserved before.
    clock.advance(Duration::from_millis(250));
    broker.enqueue(&[job(2, 1, 2)]).await.unwrap();
    let worker = Worker::named("b");
    let request = bulkhead_broker::FetchRequest {
        worker: &worker.id,
        shard: 0,
        sequence: 1,
        max: 1,
    };
    let own = broker.fetch(&request).await.unwrap().leased.remove(0).lease;
    // 0.5/s × 20 = 10/s: a slot every 100 ms.
    let permits = Permits::new(&broker, Margins::default(), 20.0);
    for _ in 0..3 {
        let answer = permits
            .request(&own, &subject(1), &GET_ORDER)
            .await
            .unwrap();
        let PermitAnswer::Granted(permit) = answer else {
            panic!("{answer:?}");
        };
        drop(permit);
    }
    assert!(started.elapsed() >= Duration::from_millis(300));
    let answer = permits
        .request(&own, &subject(1), &SEARCH_ORDERS)
        .await
        .unwrap();
    let PermitAnswer::WaitUntil(first) = answer else {
        panic!("{answer:?}");
    };
    assert!((8.0..9.3).contains(&first.as_secs_f64()), "{first:?}");
    // The refusal is remembered: Redis need not be there to repeat it.
    fixture.redis.stop();
    let again = permits
        .request(&own, &subject(1), &SEARCH_ORDERS)
        .await
        .unwrap();
    let PermitAnswer::WaitUntil(second) = again else {
        panic!("{again:?}");
    };
    assert!(second <= first);
    fixture.redis.cont();
}

/// A server's token bucket, as Amazon describes it.
struct ServerBucket {
    plan: UsagePlan,
    tokens: f64,
    at_s: f64,
}

impl ServerBucket {
    /// Whether a call that arrives at `at_s` is let through.
    fn take(&mut self, at_s: f64) -> bool {
        let refilled = self.tokens + (at_s - self.at_s) * self.plan.rate_per_s;
        self.tokens = refilled.min(f64::from(self.plan.burst));
        self.at_s = at_s;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Ask this often in a row.
    Ask(u8),
    /// Let time pass.
    Pass(Duration),
    /// Let Redis's clock go back by this much, while true time stands still.
    Rewind(Duration),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..8_u8).prop_map(Step::Ask),
        6 => (0..4_000_u64).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        1 => (0..600_u64).prop_map(|s| Step::Pass(Duration::from_secs(s))),
        1 => (0..3_600_000_u64).prop_map(|ms| Step::Rewind(Duration::from_millis(ms))),
    ];
    prop::collection::vec(step, 1..60)
}

#[test]
fn permits_never_exceed_the_servers_bucket_whatever_is_asked_and_however_the_clock_goes_back() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (fixture, _) = runtime.block_on(ready());
    let operations: Vec<&'static Operation> = bulkhead_domain::operation::OPERATIONS
        .iter()
        .filter(|operation| operation.plan.is_some())
        .collect();
    let cases = (
        prop::sample::select(operations),
        1.0..300.0_f64,
        0..100_u64,
        steps(),
        any::<u64>(),
    );
    let nonce = std::cell::Cell::new(0);
    let mut run: TestRunner = runner(200);
    run.run(&cases, |(operation, scale, jitter_ms, steps, dice)| {
        nonce.set(nonce.get() + 1);
        let jitter = Duration::from_millis(jitter_ms);
        runtime.block_on(check(
            &fixture,
            nonce.get(),
            (operation, scale),
            jitter,
            &steps,
            dice,
        ))
    })
    .unwrap();
}

async fn check(
    fixture: &Fixture,
    nonce: u32,
    (operation, scale): (&'static Operation, f64),
    jitter: Duration,
    steps: &[Step],
    mut dice: u64,
) -> Result<(), TestCaseError> {
    fixture.redis.flush().unwrap();
    open(&fixture.broker, &nonce.to_string()).await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let mut worker = Worker::named("a");
    let lease = fixture.fetch(&mut worker, 1).await[0].lease.clone();
    let margins = Margins {
        jitter,
        ..Margins::default()
    };
    let permits = Permits::new(&fixture.broker, margins, scale);
    let (mut now_s, mut arrivals) = (0.0, Vec::new());
    for step in steps {
        match step {
            Step::Pass(time) => {
                fixture.clock.advance(*time);
                now_s += time.as_secs_f64();
            }
            Step::Rewind(time) => {
                fixture.clock.rewind(*time);
                grant(&fixture.broker).await;
            }
            Step::Ask(times) => {
                for _ in 0..*times {
                    let answer = permits
                        .request(&lease, &subject(1), operation)
                        .await
                        .unwrap();
                    if let PermitAnswer::Granted(permit) = answer {
                        // A 64-bit LCG is dice enough for delays between 0 and the jitter.
                        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let delay =
                            jitter.as_secs_f64() * ((dice >> 40) as f64 / f64::from(1 << 24));
                        arrivals.push(now_s + permit.waited().as_secs_f64() + delay);
                    }
                }
            }
        }
    }
    arrivals.sort_by(f64::total_cmp);
    let mut server = ServerBucket {
        plan: operation.plan.unwrap().scaled(scale),
        tokens: 0.0,
        at_s: 0.0,
    };
    for at_s in arrivals {
        prop_assert!(
            server.take(at_s),
            "throttled at {at_s} s, had {}",
            server.tokens
        );
    }
    Ok(())
}
