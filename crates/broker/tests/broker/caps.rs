//! No more in flight than a connection and a tenant may have, at nobody else's cost.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bulkhead_broker::{CapScope, FetchRequest, JobFilter, Leased, Outcome, SetCapError, Wakes};
use bulkhead_domain::{ConnectionId, Job, Priority, WorkerId};

use crate::fixture::{Fixture, VISIBILITY, Worker, connection, ids, job, job_id, snooze, tenant};

const SOON: Duration = Duration::from_secs(10);

async fn enqueue(fixture: &Fixture, jobs: &[Job]) {
    fixture.broker.enqueue(jobs).await.unwrap();
}

async fn cap(fixture: &Fixture, scope: CapScope, max: u32) {
    fixture.broker.set_cap(scope, Some(max)).await.unwrap();
}

async fn complete(fixture: &Fixture, leased: &[Leased]) {
    for one in leased {
        fixture.acknowledge(one, Outcome::Complete).await;
    }
}

/// Jobs of tenant 1's connection `lane`.
fn jobs(numbers: Range<u128>, lane: u128) -> Vec<Job> {
    numbers.map(|n| job(n, 1, lane)).collect()
}

fn lane(n: u128) -> CapScope {
    CapScope::Connection(connection(n))
}

/// Nothing can be fetched, and no time will change that.
async fn has_nothing(fixture: &Fixture, worker: &mut Worker) {
    let fetched = fixture.fetch_all(worker, 9).await;
    assert_eq!(ids(&fetched.leased), []);
    assert_eq!(fetched.next_wake, None);
}

/// The shard's wake-ups, once they are listened to.
async fn wakes(fixture: &Fixture) -> Wakes {
    let wakes = fixture.broker.wakes();
    let mark = wakes.mark();
    enqueue(fixture, &[job(999, 99, 99)]).await;
    assert_eq!(wakes.wait(&mark, SOON).await, [0]);
    let filter = JobFilter {
        id: Some(job_id(999)),
        ..JobFilter::default()
    };
    fixture.broker.cancel(&filter).await.unwrap();
    wakes
}

#[tokio::test]
async fn a_scope_without_its_own_cap_has_the_one_of_every_scope() {
    let fixture = Fixture::start().await;
    let worker = &mut Worker::named("a");
    cap(&fixture, CapScope::EveryConnection, 2).await;
    cap(&fixture, lane(2), 3).await;
    cap(&fixture, CapScope::EveryTenant, 4).await;
    cap(&fixture, CapScope::Tenant(tenant(2)), 1).await;
    for lane in 1..=3 {
        enqueue(&fixture, &jobs(lane * 100..lane * 100 + 9, lane)).await;
    }
    let other: Vec<_> = (900..909).map(|n| job(n, 2, 9)).collect();
    enqueue(&fixture, &other).await;
    let leased = fixture.fetch(worker, 64).await;
    let mut tenants: BTreeMap<_, usize> = BTreeMap::new();
    let mut lanes: BTreeMap<_, usize> = BTreeMap::new();
    for one in &leased {
        *tenants.entry(one.job.tenant).or_default() += 1;
        *lanes.entry(one.job.connection).or_default() += 1;
    }
    assert_eq!(tenants, [(tenant(1), 4), (tenant(2), 1)].into());
    assert!(lanes[&connection(1)] <= 2, "{lanes:?}");
    assert!(lanes[&connection(2)] <= 3, "{lanes:?}");
    has_nothing(&fixture, worker).await;
    fixture
        .broker
        .set_cap(CapScope::EveryTenant, None)
        .await
        .unwrap();
    assert_eq!(fixture.fetch(worker, 64).await.len(), 3);
    has_nothing(&fixture, worker).await;
}

#[tokio::test]
async fn a_tenants_cap_is_split_exactly_over_the_shards() {
    let fixture = Fixture::with(|options| options.shards = 3).await;
    let scope = CapScope::Tenant(tenant(1));
    cap(&fixture, scope, 7).await;
    let mut lanes: BTreeMap<u16, u128> = BTreeMap::new();
    for n in 0..100 {
        lanes.insert(fixture.broker.shard_of(connection(n)), n);
    }
    let worker = WorkerId::new("a".to_owned());
    let mut counts = Vec::new();
    for (shard, lane) in lanes {
        let first = u128::from(shard) * 100;
        enqueue(&fixture, &jobs(first..first + 9, lane)).await;
        let request = FetchRequest {
            worker: &worker,
            shard,
            sequence: 1,
            max: 9,
        };
        counts.push(fixture.broker.fetch(&request).await.unwrap().leased.len());
    }
    assert_eq!(counts, [3, 2, 2]);
    assert_eq!(fixture.broker.caps().await.unwrap(), [(scope, 7)].into());
    let refused = fixture.broker.set_cap(scope, Some(2)).await.unwrap_err();
    assert!(matches!(refused, SetCapError::TooLow { max: 2, least: 3 }));
    assert_eq!(
        refused.to_string(),
        "a cap of 2 is too low: the least is 3, one for each shard"
    );
    let refused = fixture.broker.set_cap(lane(1), Some(0)).await.unwrap_err();
    assert_eq!(refused.to_string(), "a cap of 0 is too low: the least is 1");
    // Half-way through a call that failed.
    fixture.redis.command("DEL {sync.1}:caps").unwrap();
    assert_eq!(fixture.broker.caps().await.unwrap(), [(scope, 0)].into());
}

#[tokio::test]
async fn a_capped_noisy_lane_costs_the_others_nothing() {
    let fixture = Fixture::start().await;
    let worker = &mut Worker::named("a");
    cap(&fixture, lane(1), 2).await;
    enqueue(&fixture, &jobs(0..5_000, 1)).await;
    enqueue(&fixture, &jobs(6_000..6_100, 2)).await;
    let other: Vec<_> = (7_000..7_100).map(|n| job(n, 2, 3)).collect();
    enqueue(&fixture, &other).await;
    let leased = fixture.fetch(worker, 64).await;
    let noisy = |one: &&Leased| one.job.connection == connection(1);
    assert_eq!((leased.len(), leased.iter().filter(noisy).count()), (64, 2));
    let leased = [leased, fixture.fetch(worker, 256).await].concat();
    assert_eq!(leased.len(), 202);
    has_nothing(&fixture, worker).await;
}

#[tokio::test]
pub(crate) async fn a_lease_that_ends_brings_its_lane_back_and_wakes_who_waits() {
    let fixture = Fixture::start().await;
    let worker = &mut Worker::named("a");
    let wakes = wakes(&fixture).await;
    for scope in [lane(1), CapScope::Tenant(tenant(1))] {
        cap(&fixture, scope, 1).await;
        enqueue(&fixture, &jobs(1..6, 1)).await;
        for outcome in [Outcome::Complete, Outcome::Release, snooze(1, false)] {
            let leased = fixture.fetch(worker, 9).await;
            has_nothing(&fixture, worker).await;
            let mark = wakes.mark();
            fixture.acknowledge(&leased[0], outcome).await;
            assert_eq!(wakes.wait(&mark, SOON).await, [0]);
        }
        let leased = fixture.fetch(worker, 9).await;
        assert_eq!(leased.len(), 1);
        // Of a cancelled one, and of one whose worker crashed.
        fixture.broker.cancel(&JobFilter::default()).await.unwrap();
        enqueue(&fixture, &jobs(11..13, 1)).await;
        has_nothing(&fixture, worker).await;
        fixture.acknowledge(&leased[0], Outcome::Release).await;
        assert_eq!(ids(&fixture.fetch(worker, 9).await), [job_id(11)]);
        has_nothing(&fixture, worker).await;
        let mark = wakes.mark();
        fixture.clock.advance(VISIBILITY);
        assert_eq!(fixture.broker.reap(0, 9).await.unwrap().total(), 1);
        assert_eq!(wakes.wait(&mark, SOON).await, [0]);
        let again = fixture.fetch(worker, 9).await;
        assert_eq!(ids(&again), [job_id(11)]);
        complete(&fixture, &again).await;
        complete(&fixture, &fixture.fetch(worker, 9).await).await;
        fixture.broker.set_cap(scope, None).await.unwrap();
    }
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_lowered_cap_leases_nothing_until_it_is_below_and_a_raised_one_does_at_once() {
    let fixture = Fixture::start().await;
    let worker = &mut Worker::named("a");
    let wakes = wakes(&fixture).await;
    for scope in [CapScope::EveryConnection, lane(1), CapScope::EveryTenant] {
        cap(&fixture, scope, 4).await;
        enqueue(&fixture, &jobs(0..20, 1)).await;
        let leased = fixture.fetch(worker, 9).await;
        assert_eq!(leased.len(), 4);
        cap(&fixture, scope, 2).await;
        complete(&fixture, &leased[..2]).await;
        has_nothing(&fixture, worker).await;
        complete(&fixture, &leased[2..3]).await;
        let one = fixture.fetch(worker, 9).await;
        assert_eq!(one.len(), 1);
        has_nothing(&fixture, worker).await;
        let mark = wakes.mark();
        cap(&fixture, scope, 5).await;
        assert_eq!(wakes.wait(&mark, SOON).await, [0]);
        let more = fixture.fetch(worker, 9).await;
        assert_eq!(more.len(), 3);
        let mark = wakes.mark();
        fixture.broker.set_cap(scope, None).await.unwrap();
        assert_eq!(wakes.wait(&mark, SOON).await, [0]);
        let rest = fixture.fetch(worker, 64).await;
        assert_eq!(rest.len(), 20 - 8);
        complete(&fixture, &[&leased[3..], &one, &more, &rest].concat()).await;
    }
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn the_first_cap_counts_what_is_in_flight_already_and_the_last_leaves_nothing_behind()
 {
    let fixture = Fixture::start().await;
    let worker = &mut Worker::named("a");
    // More than the pages in which they are taken in and let go.
    let many: Vec<_> = (0..600).map(|n| job(n, 1, n)).collect();
    let more: Vec<_> = (1_000..1_600).map(|n| job(n, 1, n - 1_000)).collect();
    enqueue(&fixture, &many).await;
    let mut leased = Vec::new();
    for _ in 0..3 {
        leased.extend(fixture.fetch(worker, 256).await);
    }
    assert_eq!(leased.len(), 600);
    enqueue(&fixture, &more).await;
    cap(&fixture, CapScope::EveryConnection, 1).await;
    for _ in 0..5 {
        assert_eq!(ids(&fixture.fetch(worker, 256).await), []);
    }
    has_nothing(&fixture, worker).await;
    complete(&fixture, &leased[..1]).await;
    assert_eq!(fixture.fetch(worker, 256).await.len(), 1);
    fixture
        .broker
        .set_cap(CapScope::EveryConnection, None)
        .await
        .unwrap();
    for index in ["caps", "flight_c", "flight_t", "capped"] {
        let exists = fixture.redis.command(&format!("EXISTS {{sync.0}}:{index}"));
        assert_eq!(exists.unwrap(), ":0", "{index}");
    }
    let mut rest = 0;
    for _ in 0..3 {
        rest += fixture.fetch(worker, 256).await.len();
    }
    assert_eq!(rest, 599);
}

#[tokio::test]
async fn lanes_that_a_lowered_cap_shuts_do_not_hide_the_one_behind_them() {
    let fixture = Fixture::start().await;
    let worker = &mut Worker::named("a");
    let shut: Vec<_> = (0..200).map(|n| job(n, 1 + n % 3, n % 100)).collect();
    enqueue(&fixture, &shut).await;
    let mut leased = fixture.fetch(worker, 256).await;
    leased.retain(|one| ids(std::slice::from_ref(one)) < vec![job_id(100)]);
    enqueue(&fixture, &[job(900, 9, 900)]).await;
    cap(&fixture, CapScope::EveryConnection, 1).await;
    assert_eq!(ids(&fixture.fetch(worker, 1).await), [job_id(900)]);
}

#[tokio::test]
pub(crate) async fn a_capped_lane_may_be_paused_parked_held_and_drained_meanwhile() {
    let fixture = Fixture::start().await;
    let broker = &fixture.broker;
    let worker = &mut Worker::named("a");
    let (this, owner) = (connection(1), tenant(1));
    for scope in [lane(1), CapScope::Tenant(owner)] {
        cap(&fixture, scope, 1).await;
        enqueue(&fixture, &jobs(1..9, 1)).await;

        // Paused while it is capped, and the other way round: it waits for both.
        let leased = fixture.fetch(worker, 9).await;
        broker.pause_lane(this).await.unwrap();
        complete(&fixture, &leased).await;
        has_nothing(&fixture, worker).await;
        broker.resume_lane(this).await.unwrap();
        let leased = fixture.fetch(worker, 9).await;
        broker.pause_lane(this).await.unwrap();
        broker.resume_lane(this).await.unwrap();
        has_nothing(&fixture, worker).await;

        // Its tenant, or the class, likewise.
        broker.pause_tenant(owner).await.unwrap();
        complete(&fixture, &leased).await;
        has_nothing(&fixture, worker).await;
        broker.resume_tenant(owner).await.unwrap();
        let leased = fixture.fetch(worker, 9).await;
        broker.pause_tenant(owner).await.unwrap();
        broker.resume_tenant(owner).await.unwrap();
        has_nothing(&fixture, worker).await;
        broker.pause_class().await.unwrap();
        complete(&fixture, &leased).await;
        has_nothing(&fixture, worker).await;
        broker.resume_class().await.unwrap();

        // Parked by the job that gave it a place; the place is free when it wakes.
        let leased = fixture.fetch(worker, 9).await;
        fixture.acknowledge(&leased[0], snooze(5, true)).await;
        let waiting = fixture.fetch_all(worker, 9).await;
        assert_eq!(ids(&waiting.leased), []);
        assert_eq!(waiting.next_wake, Some(Duration::from_secs(5)));
        fixture.clock.advance(Duration::from_secs(5));
        let leased = fixture.fetch(worker, 9).await;
        assert_eq!(ids(&leased), [job_id(4)]);

        // A more urgent job while it is capped: it comes first when it is back.
        let mut urgent = job(20, 1, 1);
        urgent.priority = Priority::new(0);
        enqueue(&fixture, &[urgent]).await;
        has_nothing(&fixture, worker).await;
        complete(&fixture, &leased).await;
        let leased = fixture.fetch(worker, 9).await;
        assert_eq!(ids(&leased), [job_id(20)]);

        // Drained with its last place taken, then filled again.
        let rest = only_one_left(&fixture, worker, leased).await;
        enqueue(&fixture, &jobs(30..32, 1)).await;
        has_nothing(&fixture, worker).await;
        complete(&fixture, &rest).await;
        for n in [30, 31] {
            let leased = fixture.fetch(worker, 9).await;
            assert_eq!(ids(&leased), [job_id(n)]);
            complete(&fixture, &leased).await;
        }
        broker.set_cap(scope, None).await.unwrap();
    }
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

/// Completes one job after the other until the last is in flight.
async fn only_one_left(
    fixture: &Fixture,
    worker: &mut Worker,
    mut leased: Vec<Leased>,
) -> Vec<Leased> {
    loop {
        complete(fixture, &leased).await;
        leased = fixture.fetch(worker, 9).await;
        assert_eq!(leased.len(), 1);
        if fixture.broker.stats().await.unwrap().total.queued == 0 {
            return leased;
        }
    }
}

#[tokio::test]
async fn capped_lanes_and_tenants_take_turns() {
    // One place each, and one worker: who comes back from its cap must not come first each time.
    for tenants in [1, 4] {
        let fixture = Fixture::start().await;
        let worker = &mut Worker::named("a");
        cap(&fixture, CapScope::EveryConnection, 1).await;
        cap(&fixture, CapScope::EveryTenant, 3).await;
        for lane in 0..4 {
            let first = lane * 100;
            let mine: Vec<_> = (first..first + 50)
                .map(|n| job(n, lane % tenants, lane))
                .collect();
            enqueue(&fixture, &mine).await;
        }
        let mut served: BTreeMap<_, usize> = BTreeMap::new();
        for _ in 0..80 {
            let leased = fixture.fetch(worker, 1).await;
            *served.entry(leased[0].job.connection).or_default() += 1;
            complete(&fixture, &leased).await;
        }
        let counts: BTreeSet<_> = served.values().collect();
        assert_eq!(counts, [&20].into(), "{tenants} tenants: {served:?}");
    }
}

/// What workers know to be in flight: never more than Redis has.
#[derive(Default)]
struct Flying(Mutex<BTreeMap<ConnectionId, i64>>);

impl Flying {
    fn add(&self, connection: ConnectionId, count: i64) -> i64 {
        let mut flying = self.0.lock().unwrap();
        let now = flying.entry(connection).or_default();
        *now += count;
        *now
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_cap_is_exceeded_by_two_workers_while_it_is_lowered_and_raised() {
    let fixture = Arc::new(Fixture::start().await);
    let scope = CapScope::EveryConnection;
    let (limit, lanes) = (Arc::new(AtomicU32::new(6)), 5);
    cap(&fixture, scope, 6).await;
    let all: Vec<_> = (0..4_000).map(|n| job(n, n % 2, n % lanes)).collect();
    enqueue(&fixture, &all).await;
    let flying = Arc::new(Flying::default());
    let workers = ["a", "b"].map(|name| {
        let (fixture, limit, flying) = (Arc::clone(&fixture), limit.clone(), flying.clone());
        tokio::spawn(async move {
            let mut worker = Worker::named(name);
            let (mut held, mut done) = (Vec::new(), 0);
            while done < 1_500 {
                let before = limit.load(Ordering::SeqCst);
                let leased = fixture.fetch(&mut worker, 11).await;
                let limit = before.max(limit.load(Ordering::SeqCst));
                for one in &leased {
                    let count = flying.add(one.job.connection, 1);
                    assert!(count <= i64::from(limit), "{count} of {limit}");
                }
                held.extend(leased);
                for one in held.split_off(held.len() / 2) {
                    flying.add(one.job.connection, -1);
                    complete(&fixture, &[one]).await;
                    done += 1;
                }
            }
            done
        })
    });
    for max in [2, 5, 1, 3].into_iter().cycle().take(40) {
        if max > limit.load(Ordering::SeqCst) {
            limit.store(max, Ordering::SeqCst);
        }
        cap(&fixture, scope, max).await;
        // Whoever asks from here on gets nothing beyond it.
        limit.store(max, Ordering::SeqCst);
    }
    for worker in workers {
        assert!(worker.await.unwrap() >= 1_500, "and the work gets done");
    }
}
