//! Leases, fencing, delays, deduplication.

use std::time::Duration;

use bulkhead_broker::{
    Acknowledged, Acknowledgement, BrokerOptions, EnqueueError, Enqueued, FetchError, FetchRequest,
    Outcome, Renewed,
};
use bulkhead_domain::Priority;

use crate::fixture::{Fixture, VISIBILITY, Worker, ids, job, job_id, retry, snooze, start};

#[tokio::test]
async fn a_finished_job_leaves_nothing_behind() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..300).map(|n| job(n, n % 3, n % 7)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let leased = fixture.fetch(&mut worker, 64).await;
        if leased.is_empty() {
            break;
        }
        for one in &leased {
            assert_eq!(
                one.job,
                jobs[jobs.iter().position(|j| j.id == one.job.id).unwrap()]
            );
            seen.push(one.job.id);
            assert_eq!(
                fixture.acknowledge(one, Outcome::Complete).await,
                Acknowledged::Completed
            );
        }
    }
    seen.sort();
    assert_eq!(seen, jobs.iter().map(|job| job.id).collect::<Vec<_>>());
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_fenced_worker_cannot_complete() {
    let fixture = Fixture::start().await;
    let (mut slow, mut fast) = (Worker::named("slow"), Worker::named("fast"));
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let old = fixture.fetch(&mut slow, 1).await;
    fixture.clock.advance(VISIBILITY);
    assert_eq!(
        fixture.broker.reap(0, 10).await.unwrap().requeued,
        [job_id(1)]
    );
    assert_eq!(
        fixture.acknowledge(&old[0], Outcome::Complete).await,
        Acknowledged::NotLeased
    );
    let new = fixture.fetch(&mut fast, 1).await;
    assert!(new[0].lease.token() > old[0].lease.token());
    let renewed = fixture.broker.renew(0, &[old[0].lease.clone()]).await;
    assert_eq!(renewed.unwrap(), [Renewed::Lost]);
    for outcome in [
        Outcome::Complete,
        snooze(1, true),
        snooze(1, false),
        retry(1),
        Outcome::Release,
        Outcome::DeadLetter {
            reason: "no".to_owned(),
        },
    ] {
        assert_eq!(
            fixture.acknowledge(&old[0], outcome).await,
            Acknowledged::Fenced
        );
    }
    assert_eq!(
        fixture.acknowledge(&new[0], Outcome::Complete).await,
        Acknowledged::Completed
    );
}

#[tokio::test]
pub(crate) async fn a_lost_fetch_reply_is_answered_again() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..5).map(|n| job(n, 1, 1)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let lost = fixture.fetch(&mut worker, 3).await;
    let answered = fixture.fetch_again(&worker, 3).await.leased;
    assert_eq!(ids(&answered), ids(&lost));
    assert_eq!(answered[0].lease, lost[0].lease);
    fixture.acknowledge(&lost[0], Outcome::Complete).await;
    let rest = fixture.fetch_again(&worker, 3).await.leased;
    assert_eq!(ids(&rest), ids(&lost)[1..]);
    assert_eq!(fixture.fetch(&mut worker, 3).await.len(), 2);
}

#[tokio::test]
pub(crate) async fn a_repeated_fetch_does_not_bring_what_another_worker_holds() {
    let fixture = Fixture::start().await;
    let (mut slow, mut fast) = (Worker::named("slow"), Worker::named("fast"));
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    assert_eq!(fixture.fetch(&mut slow, 1).await.len(), 1);
    fixture.clock.advance(VISIBILITY);
    fixture.broker.reap(0, 9).await.unwrap();
    assert_eq!(fixture.fetch(&mut fast, 1).await.len(), 1);
    assert_eq!(ids(&fixture.fetch_again(&slow, 1).await.leased), []);
}

#[tokio::test]
pub(crate) async fn tokens_rise_though_the_clock_goes_back_or_everything_is_lost() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let mut last = None;
    let hour = Duration::from_secs(3_600);
    for n in 0..4 {
        fixture.broker.enqueue(&[job(n, 1, 1)]).await.unwrap();
        let leased = fixture.fetch(&mut worker, 1).await;
        let token = Some(leased[0].lease.token());
        assert!(token > last, "{token:?} after {last:?}");
        last = token;
        if n < 2 {
            fixture.clock.rewind(hour);
        } else {
            fixture.redis.flush().unwrap();
            fixture.clock.advance(3 * hour);
        }
    }
}

#[tokio::test]
pub(crate) async fn a_fetch_moves_a_bounded_number_of_jobs_and_lanes_whose_time_has_come() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let soon = Some(start() + Duration::from_secs(1));
    let jobs: Vec<_> = (0..150).map(|n| (job(n, 1, n), soon)).collect();
    fixture.broker.enqueue_at(&jobs).await.unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.fetch(&mut worker, 256).await.len(), 100);
    assert_eq!(fixture.broker.stats().await.unwrap().total.delayed, 50);
    assert_eq!(fixture.fetch(&mut worker, 256).await.len(), 50);
}

#[tokio::test]
pub(crate) async fn a_sequence_number_is_not_used_again() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    fixture.fetch(&mut worker, 3).await;
    let request = FetchRequest {
        worker: &worker.id,
        shard: 0,
        sequence: worker.sequence - 1,
        max: 1,
    };
    let error = fixture.broker.fetch(&request).await.unwrap_err();
    assert!(matches!(error, FetchError::Stale { .. }), "{error}");
}

#[tokio::test]
async fn an_acknowledgement_said_twice_counts_once() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let leased = fixture.fetch(&mut worker, 1).await;
    assert_eq!(
        fixture.acknowledge(&leased[0], retry(5)).await,
        Acknowledged::Retrying
    );
    assert_eq!(
        fixture.acknowledge(&leased[0], retry(5)).await,
        Acknowledged::NotLeased
    );
    fixture.clock.advance(Duration::from_secs(5));
    assert_eq!(fixture.fetch(&mut worker, 9).await[0].attempt, 2);
}

#[tokio::test]
pub(crate) async fn a_batch_that_names_a_lease_twice_ends_it_once() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let leased = fixture.fetch(&mut Worker::named("a"), 1).await;
    let release = Acknowledgement {
        lease: leased[0].lease.clone(),
        outcome: Outcome::Release,
    };
    let answers = fixture
        .broker
        .acknowledge(0, &[release.clone(), release])
        .await
        .unwrap();
    assert_eq!(answers, [Acknowledged::NotLeased, Acknowledged::Released]);
    assert_eq!(fixture.broker.stats().await.unwrap().total.queued, 1);
}

#[tokio::test]
pub(crate) async fn an_expired_lease_is_lost_even_before_it_is_reaped() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let lease = fixture.fetch(&mut worker, 1).await[0].lease.clone();
    let leases = [lease];
    let almost = VISIBILITY - Duration::from_micros(1);
    fixture.clock.advance(almost);
    assert_eq!(
        fixture.broker.renew(0, &leases).await.unwrap(),
        [Renewed::Extended]
    );
    fixture.clock.advance(almost);
    assert_eq!(fixture.broker.reap(0, 10).await.unwrap().total(), 0);
    fixture.clock.advance(Duration::from_micros(1));
    assert_eq!(
        fixture.broker.renew(0, &leases).await.unwrap(),
        [Renewed::Lost]
    );
    assert_eq!(
        fixture.broker.reap(0, 10).await.unwrap().requeued,
        [job_id(1)]
    );
    assert_eq!(
        fixture.broker.renew(0, &leases).await.unwrap(),
        [Renewed::Lost]
    );
}

#[tokio::test]
pub(crate) async fn reaping_is_bounded_and_keeps_the_order() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..10).map(|n| job(n, 1, 1)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    fixture.fetch(&mut worker, 6).await;
    fixture.clock.advance(VISIBILITY);
    assert_eq!(fixture.broker.reap(0, 4).await.unwrap().total(), 4);
    assert_eq!(fixture.broker.reap(0, 4).await.unwrap().total(), 2);
    let again = fixture.fetch(&mut worker, 10).await;
    assert_eq!(again.len(), 10);
    assert!(again.iter().filter(|one| one.crashes == 1).count() == 6);
    assert_eq!(again[9].job.id, job_id(9));
}

#[tokio::test]
pub(crate) async fn three_crashes_quarantine_a_job_with_the_workers_that_died_on_it() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    for (crashes, name) in (0..).zip(["one", "two", "three"]) {
        let leased = fixture.fetch(&mut Worker::named(name), 1).await;
        assert_eq!((leased[0].attempt, leased[0].crashes), (1, crashes));
        fixture.clock.advance(VISIBILITY);
        let reaped = fixture.broker.reap(0, 10).await.unwrap();
        assert_eq!(reaped.quarantined.len(), usize::from(crashes == 2));
        if let Some(letter) = reaped.quarantined.first() {
            assert_eq!(letter.job, Some(job(1, 1, 1)));
            let died: Vec<&str> = letter.history.iter().map(|one| &one.worker[..]).collect();
            assert_eq!(died, ["one", "two", "three"]);
            assert_eq!(letter.reason, "its workers crashed 3 times");
        }
    }
    assert_eq!(fixture.fetch(&mut Worker::named("four"), 1).await.len(), 0);
    assert_eq!(fixture.broker.stats().await.unwrap().dead, 1);
}

#[tokio::test]
pub(crate) async fn a_job_that_gets_on_is_forgiven_the_crashes_before_but_not_by_an_older_lease() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let mut older = None;
    for name in ["one", "two", "three", "four"] {
        let leased = fixture.fetch(&mut Worker::named(name), 1).await;
        let lease = leased[0].lease.clone();
        assert_eq!(leased[0].crashes, u32::from(older.is_some()));
        if let Some(older) = older.replace(lease.clone()) {
            assert!(!fixture.broker.forgive_crashes(&older).await.unwrap());
            assert!(fixture.broker.forgive_crashes(&lease).await.unwrap());
            assert!(!fixture.broker.forgive_crashes(&lease).await.unwrap());
        }
        fixture.clock.advance(VISIBILITY);
        assert_eq!(
            fixture.broker.reap(0, 10).await.unwrap().requeued,
            [job_id(1)]
        );
        assert!(!fixture.broker.forgive_crashes(&lease).await.unwrap());
    }
}

#[tokio::test]
pub(crate) async fn jobs_that_shared_a_worker_survive_three_crashes_and_are_then_run_apart() {
    let fixture = Fixture::start().await;
    let jobs: Vec<_> = (0..10).map(|n| job(n, 1, n)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    for crashes in 1..=3 {
        let name = format!("worker {crashes}");
        assert_eq!(fixture.fetch(&mut Worker::named(&name), 64).await.len(), 10);
        fixture.clock.advance(VISIBILITY);
        let reaped = fixture.broker.reap(0, 64).await.unwrap();
        assert_eq!((reaped.requeued.len(), reaped.total()), (10, 10));
    }
    let again = fixture.fetch(&mut Worker::named("worker 4"), 64).await;
    assert_eq!(again.len(), 10, "all at once, still");
    fixture.clock.advance(VISIBILITY);
    assert_eq!(fixture.broker.reap(0, 64).await.unwrap().requeued.len(), 10);
    assert_eq!(fixture.broker.stats().await.unwrap().total.delayed, 10);
    fixture.clock.advance(Duration::from_secs(60));
    for left in [10, 0] {
        let worker = &mut Worker::named("another");
        worker.sequence = 10 - left;
        assert_eq!(fixture.fetch(worker, 64).await.len(), 10);
        fixture.clock.advance(VISIBILITY);
        let reaped = fixture.broker.reap(0, 64).await.unwrap();
        assert_eq!(reaped.requeued.len() as u64, left);
        assert_eq!(reaped.quarantined.len() as u64, 10 - left);
        fixture.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
pub(crate) async fn a_reaping_of_a_few_at_a_time_does_not_take_company_for_solitude() {
    let fixture = Fixture::start().await;
    let jobs = [job(1, 1, 1), job(2, 1, 2)];
    fixture.broker.enqueue(&jobs).await.unwrap();
    for name in ["one", "two", "three"] {
        assert_eq!(fixture.fetch(&mut Worker::named(name), 9).await.len(), 2);
        fixture.clock.advance(VISIBILITY);
        for _ in 0..2 {
            let reaped = fixture.broker.reap(0, 1).await.unwrap();
            assert_eq!((reaped.requeued.len(), reaped.quarantined.len()), (1, 0));
        }
    }
}

#[tokio::test]
pub(crate) async fn the_history_of_a_job_keeps_its_last_ten_incidents() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    for _ in 0..12 {
        let leased = fixture.fetch(&mut worker, 1).await;
        fixture.acknowledge(&leased[0], retry(1)).await;
        fixture.clock.advance(Duration::from_secs(1));
    }
    let entry = fixture.broker.job(job_id(1)).await.unwrap().unwrap();
    assert_eq!((entry.attempt, entry.history.len()), (13, 10));
    assert_eq!(entry.history[9].at, start() + Duration::from_secs(11));
}

#[tokio::test]
async fn failures_count_attempts_and_crashes_do_not() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    for attempt in 1..=4 {
        let leased = fixture.fetch(&mut worker, 1).await;
        assert_eq!((leased[0].attempt, leased[0].crashes), (attempt, 0));
        fixture.acknowledge(&leased[0], retry(3)).await;
        assert!(fixture.fetch(&mut worker, 1).await.is_empty());
        fixture.clock.advance(Duration::from_secs(3));
    }
}

#[tokio::test]
pub(crate) async fn a_job_is_deduplicated_while_it_lives_and_no_longer() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let one = [job(1, 1, 1)];
    let enqueue = async || fixture.broker.enqueue(&one).await.unwrap();
    assert_eq!(enqueue().await, [Enqueued::Added]);
    assert_eq!(enqueue().await, [Enqueued::Exists], "queued");
    let leased = fixture.fetch(&mut worker, 1).await;
    assert_eq!(enqueue().await, [Enqueued::Exists], "running");
    fixture.acknowledge(&leased[0], snooze(9, false)).await;
    assert_eq!(enqueue().await, [Enqueued::Exists], "delayed");
    fixture.clock.advance(Duration::from_secs(9));
    let leased = fixture.fetch(&mut worker, 1).await;
    fixture.acknowledge(&leased[0], Outcome::Complete).await;
    assert_eq!(enqueue().await, [Enqueued::Added]);
    let twice = [job(2, 1, 1), job(2, 1, 1)];
    let answers = fixture.broker.enqueue(&twice).await.unwrap();
    assert_eq!(answers, [Enqueued::Added, Enqueued::Exists]);
}

#[tokio::test]
pub(crate) async fn a_batch_pushes_only_those_that_do_not_live() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let answers = fixture.broker.enqueue(&[job(1, 1, 1), job(2, 1, 1)]).await;
    assert_eq!(answers.unwrap(), [Enqueued::Exists, Enqueued::Added]);
    let later = Some(start() + Duration::from_secs(5));
    let answers = fixture
        .broker
        .enqueue_at(&[(job(2, 1, 1), later), (job(3, 1, 1), later)])
        .await;
    assert_eq!(answers.unwrap(), [Enqueued::Exists, Enqueued::Added]);
    let total = fixture.broker.stats().await.unwrap().total;
    assert_eq!((total.queued, total.delayed), (2, 1));
    assert_eq!(
        ids(&fixture.fetch(&mut worker, 9).await),
        [1, 2].map(job_id)
    );
}

#[tokio::test]
async fn inside_a_lane_priority_comes_first_and_then_the_order_of_arrival() {
    let fixture = Fixture::start().await;
    let jobs: Vec<_> = [(1, 5), (2, 8), (3, 0), (4, 5), (5, 0), (6, 8)]
        .map(|(n, priority)| {
            let mut one = job(n, 1, 1);
            one.priority = Priority::new(priority);
            one
        })
        .into();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let mut order = Vec::new();
    let mut worker = Worker::named("a");
    for _ in 0..3 {
        order.extend(ids(&fixture.fetch(&mut worker, 2).await));
    }
    assert_eq!(order, [3, 5, 1, 4, 2, 6].map(job_id));
}

#[tokio::test]
async fn released_jobs_go_first_again_in_their_order() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..6).map(|n| job(n, 1, 1)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let leased = fixture.fetch(&mut worker, 3).await;
    let acknowledgements: Vec<_> = leased
        .iter()
        .map(|one| Acknowledgement {
            lease: one.lease.clone(),
            outcome: Outcome::Release,
        })
        .collect();
    let answers = fixture
        .broker
        .acknowledge(0, &acknowledgements)
        .await
        .unwrap();
    assert_eq!(answers, [Acknowledged::Released; 3]);
    let again = fixture.fetch(&mut worker, 6).await;
    assert_eq!(ids(&again), (0..6).map(job_id).collect::<Vec<_>>());
    assert!(again.iter().all(|one| one.attempt == 1 && one.crashes == 0));
}

#[tokio::test]
pub(crate) async fn a_delayed_job_runs_at_its_time_by_redis_and_the_fetch_says_when() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let later = start() + Duration::from_secs(90);
    let jobs = [(job(1, 1, 1), Some(later)), (job(2, 1, 2), None)];
    fixture.broker.enqueue_at(&jobs).await.unwrap();
    let fetched = fixture.fetch_all(&mut worker, 9).await;
    assert_eq!(ids(&fetched.leased), [job_id(2)]);
    assert_eq!(fetched.next_wake, Some(Duration::from_secs(90)));
    fixture.clock.advance(Duration::from_secs(90));
    assert_eq!(ids(&fixture.fetch(&mut worker, 9).await), [job_id(1)]);
}

#[tokio::test]
pub(crate) async fn a_full_queue_refuses_new_jobs_and_still_takes_acknowledgements() {
    let small = |options: &mut BrokerOptions| options.high_water_bytes = 20_000;
    let fixture = Fixture::with(small).await;
    let mut worker = Worker::named("a");
    let mut n = 0;
    let error = loop {
        let jobs: Vec<_> = (n..n + 20).map(|n| job(n, 1, 1)).collect();
        n += 20;
        match fixture.broker.enqueue(&jobs).await {
            Ok(_) => assert!(n < 1_000),
            Err(error) => break error,
        }
    };
    let EnqueueError::HighWater { used_bytes, .. } = error else {
        panic!("{error}");
    };
    assert!((20_000..40_000).contains(&used_bytes), "{used_bytes}");
    for one in fixture.fetch(&mut worker, 256).await {
        assert_eq!(
            fixture.acknowledge(&one, Outcome::Complete).await,
            Acknowledged::Completed
        );
    }
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
}

#[tokio::test]
async fn a_redis_out_of_memory_refuses_only_what_brings_new_work() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let jobs: Vec<_> = (0..4).map(|n| job(n, 1, 1)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    fixture.redis.command("CONFIG SET maxmemory 1mb").unwrap();
    assert!(fixture.broker.enqueue(&[job(9, 1, 1)]).await.is_err());
    let leased = fixture.fetch(&mut worker, 4).await;
    let outcomes = [
        Outcome::Complete,
        retry(1),
        snooze(1, true),
        Outcome::Release,
    ];
    for (one, outcome) in leased.iter().zip(outcomes) {
        let said = fixture.acknowledge(one, outcome).await;
        assert!(!matches!(
            said,
            Acknowledged::NotLeased | Acknowledged::Fenced
        ));
    }
}
