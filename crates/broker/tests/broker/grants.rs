//! The scheduler's word that the fences in Redis are those of Postgres: positive, absolute, and short.

use std::time::Duration;

use bulkhead_broker::{
    Broker, BrokerClock, BrokerOptions, FenceState, Fences, Lease, PermitAnswer, Permits, Stop,
    StopScope, TestClock,
};
use bulkhead_domain::{
    Class, FenceEpoch, Margins,
    operation::{GET_ORDER, LWA_TOKEN},
};

use crate::{
    fixture::{Fixture, Worker, connection, job, tenant},
    permits::{granted, subject},
};

const LIFETIME: Duration = Duration::from_secs(2);

struct Gate {
    fixture: Fixture,
    fences: Fences,
    permits: Permits,
    lease: Lease,
}

impl Gate {
    async fn established() -> Self {
        let fixture =
            Fixture::with(|options| options.visibility_timeout = Duration::from_secs(1 << 30))
                .await;
        let fences = Fences::new(&fixture.broker);
        fences.establish("first", None).await.unwrap();
        fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
        let leased = fixture.fetch(&mut Worker::named("a"), 1).await;
        Self {
            permits: Permits::new(&fixture.broker, Margins::default(), 1.0),
            lease: leased[0].lease.clone(),
            fences,
            fixture,
        }
    }

    async fn grant(&self, fences: &[FenceState]) {
        let clocks = self.fences.grant_clocks().await.unwrap();
        self.fences.grant(&clocks, fences, LIFETIME).await.unwrap();
    }

    /// What stops a caller whose credentials were read at `epoch`; `None` if nothing does.
    async fn stop_at(&self, epoch: u64) -> Option<Stop> {
        let mut subject = subject(1);
        subject.epoch = FenceEpoch::new(epoch);
        let asked = self.permits.request(&self.lease, &subject, &LWA_TOKEN);
        match asked.await.unwrap() {
            PermitAnswer::Granted(_) => None,
            PermitAnswer::Stopped(stop) => Some(stop),
            PermitAnswer::WaitUntil(wait) => panic!("{wait:?}"),
        }
    }

    async fn stop(&self) -> Option<Stop> {
        self.stop_at(0).await
    }

    fn pass(&self, time: Duration) {
        self.fixture.clock.advance(time);
    }
}

fn closed(scope: StopScope, epoch: u64) -> FenceState {
    FenceState {
        scope,
        epoch,
        closed: true,
    }
}

#[tokio::test]
pub(crate) async fn without_a_grant_nothing_is_permitted_and_one_ends_by_itself() {
    let gate = Gate::established().await;
    assert_eq!(gate.stop().await, Some(Stop::NoGrant));
    gate.grant(&[]).await;
    assert_eq!(gate.stop().await, None);
    gate.pass(LIFETIME - Duration::from_micros(1));
    assert_eq!(gate.stop().await, None);
    gate.pass(Duration::from_micros(1));
    assert_eq!(gate.stop().await, Some(Stop::NoGrant));
    gate.grant(&[]).await;
    assert_eq!(gate.stop().await, None);
}

#[tokio::test]
pub(crate) async fn a_grantor_that_was_paused_after_it_asked_postgres_grants_nothing() {
    let gate = Gate::established().await;
    let clocks = gate.fences.grant_clocks().await.unwrap();
    // Here it reads Postgres and is stopped; a scope is fenced, and Redis loses the tombstone.
    gate.pass(Duration::from_secs(3));
    gate.fences.grant(&clocks, &[], LIFETIME).await.unwrap();
    assert_eq!(gate.stop().await, Some(Stop::NoGrant));
    // Nor does it shorten another one's grant.
    gate.grant(&[]).await;
    gate.fences.grant(&clocks, &[], LIFETIME).await.unwrap();
    assert_eq!(gate.stop().await, None);
}

#[tokio::test]
pub(crate) async fn a_grant_of_an_earlier_life_of_redis_counts_for_nothing() {
    let gate = Gate::established().await;
    let clocks = gate.fences.grant_clocks().await.unwrap();
    gate.fences.establish("second", None).await.unwrap();
    gate.fences.grant(&clocks, &[], LIFETIME).await.unwrap();
    assert_eq!(gate.stop().await, Some(Stop::NoGrant));
    gate.grant(&[]).await;
    assert_eq!(gate.stop().await, None);
    gate.fences.establish("third", None).await.unwrap();
    assert_eq!(gate.stop().await, Some(Stop::NoGrant));
}

#[tokio::test]
pub(crate) async fn a_clock_that_goes_back_ends_the_grant_and_one_that_goes_forward_too() {
    let gate = Gate::established().await;
    let hour = Duration::from_secs(3_600);
    gate.grant(&[]).await;
    gate.fixture.clock.rewind(hour);
    assert_eq!(gate.stop().await, Some(Stop::NoGrant));
    gate.grant(&[]).await;
    assert_eq!(gate.stop().await, None);
    gate.pass(LIFETIME);
    assert_eq!(gate.stop().await, Some(Stop::NoGrant), "not an hour longer");
    gate.grant(&[]).await;
    gate.pass(hour);
    assert_eq!(gate.stop().await, Some(Stop::NoGrant));
}

#[tokio::test]
pub(crate) async fn a_grantor_that_does_not_know_whether_the_clock_was_set_forward_empties_the_buckets()
 {
    let gate = Gate::established().await;
    let hour = Duration::from_secs(3_600);
    let calls = async || granted(&gate.permits, &gate.lease, &GET_ORDER).await;
    gate.grant(&[]).await;
    gate.pass(hour);
    gate.grant(&[]).await;
    assert_eq!(calls().await, 30, "the same grantor has been watching");
    gate.pass(hour);
    let other = Fences::new(&gate.fixture.broker);
    let clocks = other.grant_clocks().await.unwrap();
    other.grant(&clocks, &[], LIFETIME).await.unwrap();
    assert_eq!(calls().await, 0, "another one");
    // One that comes while a grant lasts takes over what the others know.
    gate.pass(LIFETIME / 2);
    let clocks = Fences::new(&gate.fixture.broker)
        .grant_clocks()
        .await
        .unwrap();
    gate.pass(Duration::from_millis(3_500));
    gate.fences.grant(&clocks, &[], hour).await.unwrap();
    assert_eq!(calls().await, 2);
}

#[tokio::test]
pub(crate) async fn a_clock_that_is_set_forward_is_noticed_and_empties_the_buckets() {
    let fixture = Fixture::start().await;
    let clock = TestClock::running();
    let mut options = BrokerOptions::new(fixture.redis.url().into());
    options.shards = 1;
    options.clock = BrokerClock::Injected(clock.clone());
    let broker = Broker::connect(&options, Class::Sync).await.unwrap();
    let fences = Fences::new(&broker);
    let vouch = async || {
        let clocks = fences.grant_clocks().await.unwrap();
        fences.grant(&clocks, &[], LIFETIME).await.unwrap();
    };
    let life = || fixture.redis.command("HGET {sync.0}:boot life").unwrap();
    fences.establish("first", None).await.unwrap();
    vouch().await;
    vouch().await;
    let before = life();
    // Less than a grant lasts.
    clock.advance(Duration::from_secs(1));
    vouch().await;
    let stepped = life();
    assert_ne!(stepped, before);
    vouch().await;
    clock.rewind(Duration::from_secs(600));
    vouch().await;
    assert_eq!(life(), stepped, "the clamp is for clocks that go back");
}

#[tokio::test]
pub(crate) async fn a_grant_brings_the_tombstones_of_all_that_is_closed_and_takes_none_away() {
    let gate = Gate::established().await;
    let mine = StopScope::Connection(connection(1));
    // More than go into one call of the script.
    let mut many: Vec<FenceState> = (2..1_200)
        .map(|n| closed(StopScope::Connection(connection(n)), 1))
        .collect();
    gate.grant(&many).await;
    assert_eq!(gate.stop().await, None);
    many.push(closed(mine, 1));
    gate.grant(&many).await;
    assert_eq!(gate.stop().await, Some(Stop::Connection(connection(1))));
    gate.grant(&[]).await;
    assert!(gate.fences.is_stopped(mine).await.unwrap());
    let first = StopScope::Connection(connection(2));
    assert!(gate.fences.is_stopped(first).await.unwrap());
}

#[tokio::test]
pub(crate) async fn after_a_release_only_credentials_that_were_read_since_are_permitted() {
    let gate = Gate::established().await;
    let scope = StopScope::Tenant(tenant(1));
    gate.grant(&[closed(scope, 1)]).await;
    assert_eq!(gate.stop_at(1).await, Some(Stop::Tenant(tenant(1))));
    // A grantor reads Postgres, and then the fence is released.
    let clocks = gate.fences.grant_clocks().await.unwrap();
    gate.fences.release(scope, 2).await.unwrap();
    for read_before in [0, 1] {
        assert_eq!(gate.stop_at(read_before).await, Some(Stop::Epoch));
    }
    assert_eq!(gate.stop_at(2).await, None);
    let stale = [closed(scope, 1)];
    gate.fences.grant(&clocks, &stale, LIFETIME).await.unwrap();
    assert_eq!(gate.stop_at(2).await, None, "a late tombstone");
    // Postgres is ahead of Redis: the next grant brings the epoch.
    assert_eq!(gate.stop_at(4).await, Some(Stop::Epoch));
    gate.grant(&[FenceState {
        scope,
        epoch: 4,
        closed: false,
    }])
    .await;
    assert_eq!(gate.stop_at(4).await, None);
    // A release that comes late, of a fence that was closed again since.
    gate.grant(&[closed(scope, 5)]).await;
    gate.fences.release(scope, 4).await.unwrap();
    assert_eq!(gate.stop_at(5).await, Some(Stop::Tenant(tenant(1))));
}
