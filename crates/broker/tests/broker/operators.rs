//! What operators see and do.

use std::time::Duration;

use bulkhead_broker::{
    Acknowledged, Counts, Enqueued, IncidentKind, JobFilter, JobState, Outcome, Presence, Renewed,
};
use bulkhead_domain::{Priority, WorkerId};
use jiff::ToSpan;

use crate::fixture::{
    Fixture, VISIBILITY, Worker, connection, ids, job, job_id, retry, snooze, start, tenant,
};

fn only(n: u128) -> JobFilter {
    JobFilter {
        id: Some(job_id(n)),
        ..JobFilter::default()
    }
}

#[tokio::test]
pub(crate) async fn a_cancel_of_a_running_job_is_told_by_renewal_and_ends_with_its_lease() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    for (n, outcome) in (1..).zip([
        Outcome::Release,
        retry(1),
        snooze(1, true),
        snooze(1, false),
        Outcome::DeadLetter {
            reason: "no".to_owned(),
        },
    ]) {
        fixture.broker.enqueue(&[job(n, 1, 1)]).await.unwrap();
        let leased = fixture.fetch(&mut worker, 1).await;
        let cancelled = fixture.broker.cancel(&only(n)).await.unwrap();
        assert_eq!(
            (cancelled.removed, cancelled.told),
            (vec![], vec![job_id(n)])
        );
        let leases = [leased[0].lease.clone()];
        assert_eq!(
            fixture.broker.renew(0, &leases).await.unwrap(),
            [Renewed::Cancelled]
        );
        assert_eq!(
            fixture.acknowledge(&leased[0], outcome).await,
            Acknowledged::Cancelled
        );
        assert_eq!(
            fixture.broker.presence(&[job_id(n)]).await.unwrap(),
            [Presence::Absent]
        );
    }
    fixture.broker.enqueue(&[job(9, 1, 1)]).await.unwrap();
    let leased = fixture.fetch(&mut worker, 1).await;
    fixture.broker.cancel(&only(9)).await.unwrap();
    assert_eq!(
        fixture.acknowledge(&leased[0], Outcome::Complete).await,
        Acknowledged::Completed
    );
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_cancelled_job_whose_worker_crashes_does_not_come_back() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    fixture.fetch(&mut Worker::named("a"), 1).await;
    fixture.broker.cancel(&JobFilter::default()).await.unwrap();
    fixture.clock.advance(VISIBILITY);
    assert_eq!(
        fixture.broker.reap(0, 9).await.unwrap().cancelled,
        [job_id(1)]
    );
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
async fn cancelling_reaches_queued_delayed_and_parked_jobs_of_its_scope_only() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let parked = fixture.fetch(&mut worker, 1).await;
    fixture.acknowledge(&parked[0], snooze(5, true)).await;
    let later = Some(start() + 5.seconds());
    let jobs = [
        (job(2, 1, 2), None),
        (job(3, 1, 2), later),
        (job(4, 2, 3), None),
        (job(5, 2, 3), later),
    ];
    fixture.broker.enqueue_at(&jobs).await.unwrap();
    let filter = JobFilter {
        tenant: Some(tenant(1)),
        ..JobFilter::default()
    };
    let mut cancelled = fixture.broker.cancel(&filter).await.unwrap();
    cancelled.removed.sort();
    assert_eq!(cancelled.removed, [1, 2, 3].map(job_id));
    fixture.clock.advance(Duration::from_secs(5));
    let mut left = ids(&fixture.fetch(&mut worker, 9).await);
    left.sort();
    assert_eq!(left, [4, 5].map(job_id));
}

#[tokio::test]
pub(crate) async fn a_job_enqueued_again_after_a_cancel_runs_once() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    for _ in 0..3 {
        let answer = fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
        assert_eq!(answer, [Enqueued::Added]);
        fixture.broker.cancel(&only(1)).await.unwrap();
    }
    fixture
        .broker
        .enqueue(&[job(1, 1, 1), job(2, 1, 1)])
        .await
        .unwrap();
    let leased = fixture.fetch(&mut worker, 9).await;
    assert_eq!(ids(&leased), [1, 2].map(job_id));
    for one in &leased {
        fixture.acknowledge(one, Outcome::Complete).await;
    }
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_job_enqueued_again_in_another_lane_or_priority_after_a_cancel_runs_once_from_there() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture
        .broker
        .enqueue(&[job(1, 1, 1), job(2, 1, 3), job(3, 1, 3)])
        .await
        .unwrap();
    fixture.broker.pause_lane(connection(1)).await.unwrap();
    fixture.broker.cancel(&only(1)).await.unwrap();
    fixture.broker.cancel(&only(3)).await.unwrap();
    let mut urgent = job(3, 1, 3);
    urgent.priority = Priority::URGENT;
    let again = [job(1, 1, 2), urgent];
    let answers = fixture.broker.enqueue(&again).await.unwrap();
    assert_eq!(answers, [Enqueued::Added; 2]);
    let leased = fixture.fetch(&mut worker, 9).await;
    let mut found = ids(&leased);
    assert!(
        found.iter().position(|id| *id == job_id(3)) < found.iter().position(|id| *id == job_id(2))
    );
    found.sort();
    assert_eq!(found, [1, 2, 3].map(job_id));
    for one in &leased {
        fixture.acknowledge(one, Outcome::Complete).await;
    }
    fixture.broker.resume_lane(connection(1)).await.unwrap();
    assert_eq!(fixture.fetch(&mut worker, 9).await.len(), 0);
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_delayed_job_that_was_cancelled_can_come_again() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let later = Some(start() + 5.seconds());
    fixture
        .broker
        .enqueue_at(&[(job(1, 1, 1), later)])
        .await
        .unwrap();
    fixture.broker.cancel(&only(1)).await.unwrap();
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    assert_eq!(ids(&fixture.fetch(&mut worker, 9).await), [job_id(1)]);
}

#[tokio::test]
pub(crate) async fn a_dead_letter_of_a_job_that_lives_stays_where_it_is() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let leased = fixture.fetch(&mut worker, 1).await;
    let reason = "no".to_owned();
    fixture
        .acknowledge(&leased[0], Outcome::DeadLetter { reason })
        .await;
    // As an older version might have left it: its job came back, and the dead letter was not superseded.
    for (from, to) in [("dead", "kept"), ("dead_bodies", "kept_bodies")] {
        fixture
            .redis
            .command(&format!("COPY {{sync.0}}:{from} {to}"))
            .unwrap();
    }
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    for (from, to) in [("kept", "dead"), ("kept_bodies", "dead_bodies")] {
        fixture
            .redis
            .command(&format!("RENAME {from} {{sync.0}}:{to}"))
            .unwrap();
    }
    assert_eq!(
        fixture.broker.redrive(&JobFilter::default()).await.unwrap(),
        []
    );
    assert_eq!(fixture.broker.stats().await.unwrap().total.queued, 1);
    assert_eq!(fixture.fetch(&mut worker, 9).await.len(), 1);
}

#[tokio::test]
pub(crate) async fn a_dead_letter_keeps_its_reason_and_history_and_can_be_redriven() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let leased = fixture.fetch(&mut worker, 1).await;
    fixture.acknowledge(&leased[0], retry(0)).await;
    let leased = fixture.fetch(&mut worker, 1).await;
    let reason = "the authorization was revoked".to_owned();
    let bury = Outcome::DeadLetter {
        reason: reason.clone(),
    };
    assert_eq!(
        fixture.acknowledge(&leased[0], bury).await,
        Acknowledged::DeadLettered
    );
    assert_eq!(
        fixture.broker.presence(&[job_id(1)]).await.unwrap(),
        [Presence::Dead]
    );
    let entry = fixture.broker.job(job_id(1)).await.unwrap().unwrap();
    assert_eq!(entry.job, job(1, 1, 1));
    assert_eq!(
        entry.state,
        JobState::Dead {
            reason,
            at: start()
        }
    );
    let kinds: Vec<IncidentKind> = entry.history.iter().map(|one| one.event).collect();
    assert_eq!(kinds, [IncidentKind::Failed, IncidentKind::Buried]);
    assert_eq!(entry.history[0].reason, "it failed");

    assert_eq!(
        fixture.broker.redrive(&JobFilter::default()).await.unwrap(),
        [job_id(1)]
    );
    let again = fixture.fetch(&mut worker, 1).await;
    assert_eq!((again[0].attempt, again[0].crashes), (1, 0));
    let entry = fixture.broker.job(job_id(1)).await.unwrap().unwrap();
    assert_eq!(entry.history.last().unwrap().event, IncidentKind::Redriven);
    fixture.acknowledge(&again[0], Outcome::Complete).await;
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_dead_letter_is_superseded_by_its_job_or_discarded() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let bury = || Outcome::DeadLetter {
        reason: "no".to_owned(),
    };
    fixture
        .broker
        .enqueue(&[job(1, 1, 1), job(2, 1, 1)])
        .await
        .unwrap();
    let both = fixture.fetch(&mut worker, 2).await;
    let failed = Outcome::Retry {
        after: Duration::ZERO,
        error: "no answer".to_owned(),
    };
    fixture.acknowledge(&both[0], failed).await;
    let again = fixture.fetch(&mut worker, 1).await;
    for one in [&again[0], &both[1]] {
        fixture.acknowledge(one, bury()).await;
    }
    assert_eq!(
        fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap(),
        [Enqueued::Added]
    );
    let alive = fixture.broker.job(job_id(1)).await.unwrap().unwrap();
    assert_eq!(alive.attempt, 1, "its failures are forgiven");
    assert_eq!(alive.history.len(), 2, "what happened to it is not");
    assert_eq!(fixture.broker.stats().await.unwrap().dead, 1);
    let gone = fixture
        .broker
        .discard_dead_letters(&JobFilter::default())
        .await
        .unwrap();
    assert_eq!(gone, [job_id(2)]);
    assert_eq!(fixture.broker.stats().await.unwrap().dead, 0);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_goes_to_the_dead_letters() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture
        .broker
        .enqueue(&[job(1, 1, 1), job(2, 1, 1)])
        .await
        .unwrap();
    spoil(&fixture, 1).await;
    let fetched = fixture.fetch_all(&mut worker, 9).await;
    assert_eq!(ids(&fetched.leased), [job_id(2)]);
    assert_eq!(fetched.undecodable, [job_id(1)]);
    assert_eq!(
        fixture.broker.presence(&[job_id(1)]).await.unwrap(),
        [Presence::Dead]
    );
}

/// Gives a job's body a version that nobody knows.
async fn spoil(fixture: &Fixture, n: u128) {
    let client = redis::Client::open(fixture.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let id = *job_id(n).uuid().as_bytes();
    let mut body: Vec<u8> = redis::cmd("HGET")
        .arg("{sync.0}:jobs")
        .arg(&id[..])
        .query_async(&mut connection)
        .await
        .unwrap();
    body[0] = 99;
    let _: i64 = redis::cmd("HSET")
        .arg("{sync.0}:jobs")
        .arg(&id[..])
        .arg(&body[..])
        .query_async(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn how_long_the_first_job_of_each_lane_has_waited_is_known() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    fixture.clock.advance(Duration::from_secs(7));
    let more = [job(2, 1, 1), job(3, 2, 2)];
    fixture.broker.enqueue(&more).await.unwrap();
    let stats = fixture.broker.stats().await.unwrap();
    let oldest: Vec<_> = stats.lanes.iter().map(|lane| lane.oldest).collect();
    assert_eq!(oldest, [Some(start()), Some(start() + 7.seconds())]);
    assert_eq!(stats.oldest, Some(start()));
    let worker = &mut Worker::named("a");
    assert_eq!(fixture.fetch(worker, 1).await[0].job.id, job_id(1));
    let stats = fixture.broker.stats().await.unwrap();
    assert_eq!(stats.oldest, Some(start() + 7.seconds()));
    let entry = fixture.broker.job(job_id(2)).await.unwrap().unwrap();
    assert_eq!(entry.enqueued_at, Some(start() + 7.seconds()));
}

#[tokio::test]
async fn every_place_of_a_job_is_shown_and_counted() {
    let fixture = Fixture::with(|options| options.shards = 3).await;
    let mut worker = Worker::named("a");
    let on_first = |n: &u128| fixture.broker.shard_of(connection(*n)) == 0;
    let lanes: Vec<u128> = (0..).filter(on_first).take(4).collect();
    let [parked, paused, busy, idle] = lanes[..] else {
        panic!("four lanes");
    };
    fixture.broker.enqueue(&[job(1, 1, parked)]).await.unwrap();
    let leased = fixture.fetch(&mut worker, 1).await;
    fixture.acknowledge(&leased[0], snooze(60, true)).await;
    fixture.broker.pause_lane(connection(paused)).await.unwrap();
    fixture
        .broker
        .enqueue(&[job(2, 1, paused), job(3, 2, busy)])
        .await
        .unwrap();
    assert_eq!(fixture.fetch(&mut worker, 1).await.len(), 1);
    let later = start() + 30.seconds();
    let more = [(job(4, 2, busy), Some(later)), (job(5, 2, idle), None)];
    fixture.broker.enqueue_at(&more).await.unwrap();

    let expected = [
        (
            1,
            JobState::Parked {
                until: start() + 60.seconds(),
            },
        ),
        (2, JobState::Paused),
        (
            3,
            JobState::Running {
                worker: WorkerId::new("a".to_owned()),
                expires: start() + VISIBILITY,
            },
        ),
        (4, JobState::Delayed { until: later }),
        (5, JobState::Queued),
    ];
    for (n, state) in &expected {
        let entry = fixture.broker.job(job_id(*n)).await.unwrap().unwrap();
        assert_eq!(entry.state, *state);
    }
    assert!(fixture.broker.job(job_id(99)).await.unwrap().is_none());
    let all = fixture
        .broker
        .jobs(&JobFilter::default(), 100)
        .await
        .unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(
        fixture
            .broker
            .jobs(&JobFilter::default(), 2)
            .await
            .unwrap()
            .len(),
        2
    );

    let stats = fixture.broker.stats().await.unwrap();
    let total = Counts {
        queued: 3,
        delayed: 1,
        running: 1,
    };
    assert_eq!(stats.total, total);
    assert_eq!((stats.parked_lanes, stats.paused_lanes), (1, 1));
    assert_eq!(stats.oldest, Some(start()));
    let tenants = stats.tenants();
    assert_eq!(
        tenants[&tenant(1)],
        Counts {
            queued: 2,
            delayed: 0,
            running: 0
        }
    );
    assert_eq!(
        tenants[&tenant(2)],
        Counts {
            queued: 1,
            delayed: 1,
            running: 1
        }
    );
}

#[tokio::test]
async fn a_weight_or_hold_on_which_the_shards_differ_is_told_from_one_that_all_obey() {
    let fixture = Fixture::with(|options| options.shards = 2).await;
    let broker = &fixture.broker;
    broker.set_weight(tenant(1), 3.0).await.unwrap();
    broker.set_weight(tenant(2), 0.5).await.unwrap();
    broker.pause_tenant(tenant(1)).await.unwrap();
    broker.pause_class().await.unwrap();
    let weights = [(tenant(1), 3.0), (tenant(2), 0.5)];
    assert_eq!(broker.weights().await.unwrap(), weights.into());
    let holds = [(None, true), (Some(tenant(1)), true)];
    assert_eq!(broker.holds().await.unwrap(), holds.into());
    // The second shard has forgotten all, but for a weight that is none.
    let command = |command: &str| fixture.redis.command(command).unwrap();
    command("DEL {sync.1}:held {sync.1}:weights {sync.0}:weights");
    command("HSET {sync.1}:weights nobody 7");
    broker.set_weight(tenant(2), 0.5).await.unwrap();
    command("DEL {sync.1}:weights");
    assert_eq!(broker.weights().await.unwrap(), [(tenant(2), 0.0)].into());
    let holds = [(None, false), (Some(tenant(1)), false)];
    assert_eq!(broker.holds().await.unwrap(), holds.into());
    assert!(broker.pause_tenant(tenant(1)).await.unwrap());
    broker.set_weight(tenant(2), 0.5).await.unwrap();
    assert_eq!(broker.weights().await.unwrap(), [(tenant(2), 0.5)].into());
    let holds = [(None, false), (Some(tenant(1)), true)];
    assert_eq!(broker.holds().await.unwrap(), holds.into());
}

#[tokio::test]
async fn what_is_held_on_some_shards_only_is_not_said_to_be_held() {
    let fixture = Fixture::with(|options| options.shards = 3).await;
    for forgetful in 0..3 {
        fixture.broker.pause_tenant(tenant(1)).await.unwrap();
        fixture.broker.pause_tenant(tenant(2)).await.unwrap();
        fixture.broker.pause_class().await.unwrap();
        let stats = fixture.broker.stats().await.unwrap();
        assert_eq!(stats.paused_tenants, [1, 2].map(tenant));
        assert!(stats.paused);
        let forget = format!("DEL {{sync.{forgetful}}}:held");
        assert_eq!(fixture.redis.command(&forget).unwrap(), ":1");
        let stats = fixture.broker.stats().await.unwrap();
        assert_eq!(stats.paused_tenants, []);
        assert!(!stats.paused);
    }
}
