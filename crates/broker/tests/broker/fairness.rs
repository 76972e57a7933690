//! Who is served next.

use std::{collections::BTreeMap, time::Duration};

use bulkhead_broker::{Acknowledged, JobState, Outcome};
use bulkhead_domain::{Job, TenantId};

use crate::fixture::{Fixture, VISIBILITY, Worker, connection, ids, job, job_id, snooze, tenant};

async fn enqueue(fixture: &Fixture, jobs: &[Job]) {
    fixture.broker.enqueue(jobs).await.unwrap();
}

#[tokio::test]
async fn a_quiet_tenant_does_not_wait_for_a_noisy_ones_backlog() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let noisy: Vec<_> = (0..5_000).map(|n| job(n, 1, n % 50)).collect();
    enqueue(&fixture, &noisy).await;
    fixture.fetch(&mut worker, 64).await;
    let quiet: Vec<_> = (0..20).map(|n| job(10_000 + n, 100 + n, 200 + n)).collect();
    enqueue(&fixture, &quiet).await;
    let next = fixture.fetch(&mut worker, 64).await;
    let of_quiet = next
        .iter()
        .filter(|one| one.job.tenant != tenant(1))
        .count();
    assert_eq!(of_quiet, 20);
    assert_eq!(
        next.len(),
        64,
        "what the quiet ones leave goes to the noisy one"
    );
}

#[tokio::test]
async fn tenants_share_evenly_however_many_connections_they_split_into() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let split: Vec<_> = (0..1_000).map(|n| job(n, 1, n % 100)).collect();
    let whole: Vec<_> = (1_000..2_000).map(|n| job(n, 2, 500)).collect();
    enqueue(&fixture, &split).await;
    enqueue(&fixture, &whole).await;
    for max in [1, 7, 64, 33, 2, 64, 64] {
        let mut served: BTreeMap<TenantId, usize> = BTreeMap::new();
        for _ in 0..4 {
            for one in fixture.fetch(&mut worker, max).await {
                *served.entry(one.job.tenant).or_default() += 1;
            }
        }
        let (one, other) = (served[&tenant(1)], served[&tenant(2)]);
        assert!(one.abs_diff(other) <= 2, "{one} and {other} of 4 × {max}");
    }
}

#[tokio::test]
async fn connections_of_a_tenant_take_turns() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let backlog: Vec<_> = (0..200).map(|n| job(n, 1, 1)).collect();
    enqueue(&fixture, &backlog).await;
    enqueue(&fixture, &[job(900, 1, 2), job(901, 1, 2)]).await;
    let next = fixture.fetch(&mut worker, 8).await;
    assert!(ids(&next).contains(&job_id(900)) && ids(&next).contains(&job_id(901)));
}

#[tokio::test]
pub(crate) async fn a_tenant_that_rests_between_jobs_gets_no_more_than_its_share() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    for busy in 1..=4 {
        let jobs: Vec<_> = (0..200)
            .map(|n| job(busy * 1_000 + n, busy, busy))
            .collect();
        enqueue(&fixture, &jobs).await;
    }
    let (mut of_resting, mut number) = (0, 9_000);
    enqueue(&fixture, &[job(number, 9, 9)]).await;
    for _ in 0..100 {
        let leased = fixture.fetch(&mut worker, 1).await;
        if leased[0].job.tenant == tenant(9) {
            of_resting += 1;
            number += 1;
            enqueue(&fixture, &[job(number, 9, 9)]).await;
        }
    }
    assert!(
        (18..=22).contains(&of_resting),
        "{of_resting} of 100 for one of five"
    );
}

#[tokio::test]
pub(crate) async fn a_tenant_that_comes_late_begins_level_with_the_others() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let early: Vec<_> = (0..600).map(|n| job(n, 1, 1)).collect();
    let late: Vec<_> = (1_000..1_300).map(|n| job(n, 2, 2)).collect();
    enqueue(&fixture, &early).await;
    for _ in 0..20 {
        fixture.fetch(&mut worker, 10).await;
    }
    enqueue(&fixture, &late).await;
    let mut of_late = 0;
    for _ in 0..100 {
        let leased = fixture.fetch(&mut worker, 1).await;
        of_late += leased
            .iter()
            .filter(|one| one.job.tenant == tenant(2))
            .count();
    }
    // What the other had in its last turn comes first.
    assert!(
        (50..=56).contains(&of_late),
        "{of_late} of 100 for one of two"
    );
}

#[tokio::test]
async fn a_tenant_is_served_in_proportion_to_its_weight() {
    for others in [1, 3, 40] {
        let fixture = Fixture::start().await;
        let mut worker = Worker::named("a");
        fixture.broker.set_weight(tenant(0), 4.0).await.unwrap();
        for number in 0..=others {
            let first = 10_000 * number;
            let jobs: Vec<_> = (0..2_000)
                .map(|n| job(first + n, number, 10 * number + n % 3))
                .collect();
            enqueue(&fixture, &jobs).await;
        }
        let mut served = 0;
        for _ in 0..22 {
            let leased = fixture.fetch(&mut worker, 64).await;
            served += leased
                .iter()
                .filter(|one| one.job.tenant == tenant(0))
                .count();
        }
        let due = 22.0 * 64.0 * 4.0 / (4.0 + others as f64);
        let share = served as f64 / due;
        assert!((0.85..=1.15).contains(&share), "{others} others: {share}");
    }
}

#[tokio::test]
pub(crate) async fn a_held_tenant_keeps_its_jobs_and_others_go_on() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    enqueue(&fixture, &[job(1, 1, 1), job(2, 2, 2)]).await;
    assert!(fixture.broker.pause_tenant(tenant(1)).await.unwrap());
    assert!(!fixture.broker.pause_tenant(tenant(1)).await.unwrap());
    enqueue(&fixture, &[job(3, 1, 3)]).await;
    assert_eq!(ids(&fixture.fetch(&mut worker, 9).await), [job_id(2)]);
    let stats = fixture.broker.stats().await.unwrap();
    assert_eq!(stats.paused_tenants, [tenant(1)]);
    assert!(
        stats
            .lanes
            .iter()
            .all(|lane| lane.paused == (lane.tenant == tenant(1)))
    );
    let entry = fixture.broker.job(job_id(3)).await.unwrap().unwrap();
    assert_eq!(entry.state, JobState::Paused);
    assert!(fixture.broker.resume_tenant(tenant(1)).await.unwrap());
    assert!(!fixture.broker.resume_tenant(tenant(1)).await.unwrap());
    assert_eq!(fixture.fetch(&mut worker, 9).await.len(), 2);
}

#[tokio::test]
pub(crate) async fn a_tenant_that_is_held_before_its_first_job_waits_too_and_leaves_nothing_behind()
{
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    for n in [1, 2] {
        fixture.broker.pause_tenant(tenant(n)).await.unwrap();
    }
    enqueue(&fixture, &[job(1, 1, 1)]).await;
    assert!(fixture.fetch(&mut worker, 9).await.is_empty());
    for n in [1, 2] {
        fixture.broker.resume_tenant(tenant(n)).await.unwrap();
    }
    let leased = fixture.fetch(&mut worker, 1).await;
    fixture.acknowledge(&leased[0], Outcome::Complete).await;
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_held_class_hands_out_nothing_and_says_when_it_goes_on() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let wakes = fixture.broker.wakes();
    enqueue(&fixture, &[job(1, 1, 1)]).await;
    wakes.wait(&wakes.mark(), Duration::from_secs(9)).await;
    assert!(fixture.broker.pause_class().await.unwrap());
    let fetched = fixture.fetch_all(&mut worker, 9).await;
    assert!(fetched.leased.is_empty() && fetched.next_wake.is_none());
    assert!(fixture.broker.stats().await.unwrap().paused);
    let mark = wakes.mark();
    assert!(fixture.broker.resume_class().await.unwrap());
    assert_eq!(wakes.wait(&mark, Duration::from_secs(9)).await, [0]);
    assert_eq!(fixture.fetch(&mut worker, 9).await.len(), 1);
}

#[tokio::test]
pub(crate) async fn a_parked_lane_does_not_hold_back_others_and_its_jobs_are_not_touched() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..6).map(|n| job(n, 1, n % 2)).collect();
    enqueue(&fixture, &jobs).await;
    let leased = fixture.fetch(&mut worker, 1).await;
    let waiting = leased[0].job.connection;
    assert_eq!(
        fixture.acknowledge(&leased[0], snooze(100, true)).await,
        Acknowledged::Snoozed
    );
    let fetched = fixture.fetch_all(&mut worker, 10).await;
    assert_eq!(fetched.leased.len(), 3);
    assert!(
        fetched
            .leased
            .iter()
            .all(|one| one.job.connection != waiting)
    );
    assert_eq!(fetched.next_wake, Some(Duration::from_secs(100)));
    fixture.clock.advance(Duration::from_secs(100));
    let woken = fixture.fetch(&mut worker, 10).await;
    assert_eq!(woken.len(), 3);
    assert_eq!(
        woken[0].job.id, leased[0].job.id,
        "first again, still at its first attempt"
    );
    assert_eq!(woken[0].attempt, 1);
}

#[tokio::test]
pub(crate) async fn a_lane_stays_parked_until_the_latest_time_that_was_said() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    enqueue(&fixture, &[job(1, 1, 1), job(2, 1, 1)]).await;
    let leased = fixture.fetch(&mut worker, 2).await;
    fixture.acknowledge(&leased[0], snooze(100, true)).await;
    fixture.acknowledge(&leased[1], snooze(10, true)).await;
    fixture.clock.advance(Duration::from_secs(99));
    assert!(fixture.fetch(&mut worker, 2).await.is_empty());
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.fetch(&mut worker, 2).await.len(), 2);
}

#[tokio::test]
pub(crate) async fn a_paused_lane_keeps_its_jobs_until_it_is_resumed() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    enqueue(&fixture, &[job(1, 1, 1), job(2, 1, 2)]).await;
    assert!(fixture.broker.pause_lane(connection(1)).await.unwrap());
    assert!(!fixture.broker.pause_lane(connection(1)).await.unwrap());
    enqueue(&fixture, &[job(3, 1, 1)]).await;
    assert_eq!(ids(&fixture.fetch(&mut worker, 9).await), [job_id(2)]);
    assert!(fixture.broker.is_paused(connection(1)).await.unwrap());
    assert!(fixture.broker.resume_lane(connection(1)).await.unwrap());
    assert_eq!(
        ids(&fixture.fetch(&mut worker, 9).await),
        [1, 3].map(job_id)
    );
}

#[tokio::test]
pub(crate) async fn pausing_and_parking_are_independent() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    enqueue(&fixture, &[job(1, 1, 1)]).await;
    let leased = fixture.fetch(&mut worker, 1).await;
    fixture.broker.pause_lane(connection(1)).await.unwrap();
    fixture.acknowledge(&leased[0], snooze(50, true)).await;
    fixture.broker.resume_lane(connection(1)).await.unwrap();
    assert!(
        fixture.fetch(&mut worker, 1).await.is_empty(),
        "still parked"
    );
    fixture.broker.pause_lane(connection(1)).await.unwrap();
    fixture.clock.advance(Duration::from_secs(50));
    assert!(
        fixture.fetch(&mut worker, 1).await.is_empty(),
        "still paused"
    );
    fixture.broker.resume_lane(connection(1)).await.unwrap();
    assert_eq!(fixture.fetch(&mut worker, 1).await.len(), 1);
}

#[tokio::test]
async fn what_a_crashed_worker_held_of_a_parked_lane_waits_with_it() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    enqueue(&fixture, &[job(1, 1, 1), job(2, 1, 1)]).await;
    let leased = fixture.fetch(&mut worker, 2).await;
    fixture.acknowledge(&leased[0], snooze(100, true)).await;
    fixture.clock.advance(VISIBILITY);
    assert_eq!(fixture.broker.reap(0, 9).await.unwrap().requeued.len(), 1);
    assert!(fixture.fetch(&mut worker, 2).await.is_empty());
    fixture.clock.advance(Duration::from_secs(100) - VISIBILITY);
    let again = fixture.fetch(&mut worker, 2).await;
    assert_eq!(again.len(), 2);
    for one in &again {
        fixture.acknowledge(one, Outcome::Complete).await;
    }
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}
