//! How much a tenant may have in Redis.

use std::time::Duration;

use bulkhead_broker::{
    Acknowledged, Acknowledgement, Enqueued, JobFilter, Leased, Outcome, Renewed,
};
use bulkhead_domain::Job;
use jiff::ToSpan;

use crate::fixture::{
    Fixture, VISIBILITY, Worker, connection, ids, job, job_id, retry, snooze, start, tenant,
};

/// What `job` takes.
const BODY_BYTES: u64 = 85;

async fn fixture(room_for: u64) -> Fixture {
    Fixture::with(|options| options.tenant_high_water_bytes = room_for * BODY_BYTES).await
}

fn jobs(numbers: std::ops::Range<u128>, tenant: u128) -> Vec<Job> {
    numbers.map(|n| job(n, tenant, tenant)).collect()
}

async fn taken(fixture: &Fixture, number: u128) -> u64 {
    let bytes = fixture.broker.tenant_bytes().await.unwrap();
    bytes.get(&tenant(number)).copied().unwrap_or_default()
}

fn done(leased: &Leased) -> Acknowledgement {
    Acknowledgement {
        lease: leased.lease.clone(),
        outcome: Outcome::Complete,
    }
}

#[tokio::test]
pub(crate) async fn a_full_tenants_jobs_are_refused_one_by_one_and_others_go_in() {
    let fixture = fixture(3).await;
    let batch = [jobs(1..6, 1), jobs(6..9, 2)].concat();
    let answers = fixture.broker.enqueue(&batch).await.unwrap();
    assert_eq!(answers[..3], [Enqueued::Added; 3]);
    assert_eq!(answers[3..5], [Enqueued::TenantFull; 2]);
    assert_eq!(answers[5..], [Enqueued::Added; 3]);
    assert_eq!(taken(&fixture, 1).await, 3 * BODY_BYTES);
    let again = fixture.broker.enqueue(&jobs(3..5, 1)).await.unwrap();
    assert_eq!(again, [Enqueued::Exists, Enqueued::TenantFull]);
    let later = Some(start() + 1.second());
    let delayed = [(job(9, 1, 7), later), (job(10, 3, 3), later)];
    let answers = fixture.broker.enqueue_at(&delayed).await.unwrap();
    assert_eq!(answers, [Enqueued::TenantFull, Enqueued::Added]);
    let leased = fixture.fetch(&mut Worker::named("a"), 99).await;
    let mut found = ids(&leased);
    found.sort();
    assert_eq!(found, [1, 2, 3, 6, 7, 8].map(job_id));
}

#[tokio::test]
async fn a_refused_job_leaves_its_dead_letter_as_it_is() {
    let fixture = fixture(1).await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&jobs(1..2, 1)).await.unwrap();
    let leased = fixture.fetch(&mut worker, 1).await;
    let bury = Outcome::DeadLetter {
        reason: "no".to_owned(),
    };
    fixture.acknowledge(&leased[0], bury).await;
    let answers = fixture.broker.enqueue(&jobs(2..3, 1)).await.unwrap();
    assert_eq!(answers, [Enqueued::Added]);
    let answers = fixture.broker.enqueue(&jobs(1..2, 1)).await.unwrap();
    assert_eq!(answers, [Enqueued::TenantFull]);
    let redriven = fixture.broker.redrive(&JobFilter::default()).await.unwrap();
    assert_eq!(redriven, [job_id(1)], "also above the mark");
    assert_eq!(taken(&fixture, 1).await, 2 * BODY_BYTES);
}

#[tokio::test]
async fn a_full_tenants_jobs_are_fetched_renewed_and_acknowledged_and_then_there_is_room() {
    let fixture = fixture(2).await;
    fixture.broker.enqueue(&jobs(1..4, 1)).await.unwrap();
    let mut worker = Worker::named("a");
    let leased = fixture.fetch(&mut worker, 9).await;
    let leases: Vec<_> = leased.iter().map(|one| one.lease.clone()).collect();
    let renewed = fixture.broker.renew(0, &leases).await.unwrap();
    assert_eq!(renewed, [Renewed::Extended; 2]);
    let answers = fixture.broker.enqueue(&jobs(3..4, 1)).await.unwrap();
    assert_eq!(answers, [Enqueued::TenantFull]);
    fixture.acknowledge(&leased[0], Outcome::Complete).await;
    let answers = fixture.broker.enqueue(&jobs(3..4, 1)).await.unwrap();
    assert_eq!(answers, [Enqueued::Added]);
}

#[tokio::test]
async fn a_job_takes_its_bytes_as_long_as_it_lives_and_gives_them_back_once_however_it_ends() {
    let fixture = fixture(9).await;
    let mut worker = Worker::named("a");
    for outcome in [
        retry(0),
        snooze(0, true),
        snooze(0, false),
        Outcome::Release,
    ] {
        fixture.broker.enqueue(&jobs(1..2, 1)).await.unwrap();
        let leased = fixture.fetch(&mut worker, 1).await;
        fixture.acknowledge(&leased[0], outcome.clone()).await;
        assert_eq!(taken(&fixture, 1).await, BODY_BYTES, "{outcome:?}");
    }
    let filter = JobFilter::default();
    fixture.broker.cancel(&filter).await.unwrap();
    assert_eq!(taken(&fixture, 1).await, 0, "cancelled while queued");
    for outcome in [
        Outcome::Complete,
        retry(0),
        Outcome::DeadLetter {
            reason: "no".to_owned(),
        },
    ] {
        fixture.broker.enqueue(&jobs(1..2, 1)).await.unwrap();
        let leased = fixture.fetch(&mut worker, 1).await;
        fixture.broker.cancel(&filter).await.unwrap();
        assert_eq!(taken(&fixture, 1).await, BODY_BYTES, "until its lease ends");
        fixture.acknowledge(&leased[0], outcome.clone()).await;
        assert_eq!(taken(&fixture, 1).await, 0, "cancelled, then {outcome:?}");
    }
    fixture.broker.enqueue(&jobs(1..2, 1)).await.unwrap();
    fixture.fetch(&mut worker, 1).await;
    fixture.broker.cancel(&filter).await.unwrap();
    fixture.clock.advance(VISIBILITY);
    fixture.broker.reap(0, 9).await.unwrap();
    assert_eq!(taken(&fixture, 1).await, 0, "cancelled, then reaped");
    let later = Some(start() + 1.hour());
    let delayed = [(job(1, 1, 1), later)];
    fixture.broker.enqueue_at(&delayed).await.unwrap();
    fixture.broker.cancel(&filter).await.unwrap();
    assert_eq!(taken(&fixture, 1).await, 0, "cancelled while delayed");
    fixture.broker.enqueue(&jobs(1..2, 1)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(taken(&fixture, 1).await, BODY_BYTES);
        fixture.fetch(&mut worker, 1).await;
        fixture.clock.advance(VISIBILITY);
        fixture.broker.reap(0, 9).await.unwrap();
    }
    assert_eq!(taken(&fixture, 1).await, 0, "quarantined");
    fixture.broker.redrive(&filter).await.unwrap();
    assert_eq!(taken(&fixture, 1).await, BODY_BYTES, "redriven");
    let leased = fixture.fetch(&mut worker, 1).await;
    let bury = Outcome::DeadLetter {
        reason: "no".to_owned(),
    };
    fixture.acknowledge(&leased[0], bury).await;
    assert_eq!(taken(&fixture, 1).await, 0, "buried");
    fixture.broker.enqueue(&jobs(1..2, 1)).await.unwrap();
    assert_eq!(taken(&fixture, 1).await, BODY_BYTES, "superseded");
    fixture.broker.cancel(&filter).await.unwrap();
    assert_eq!(fixture.fetch(&mut worker, 9).await.len(), 0);
    assert_eq!(fixture.leftovers().await, Vec::<String>::new());
}

#[tokio::test]
pub(crate) async fn a_batch_of_acknowledgements_of_which_some_do_not_count_gives_back_what_ended() {
    let fixture = fixture(9).await;
    let mut worker = Worker::named("a");
    let batch = [jobs(1..5, 1), jobs(5..7, 2)].concat();
    fixture.broker.enqueue(&batch).await.unwrap();
    let mut leased = fixture.fetch(&mut worker, 9).await;
    leased.sort_by_key(|one| one.job.id);
    fixture.acknowledge(&leased[0], Outcome::Complete).await;
    fixture.acknowledge(&leased[1], Outcome::Release).await;
    let batch: Vec<_> = [0, 4, 1, 2, 2].map(|n| done(&leased[n])).to_vec();
    let answers = fixture.broker.acknowledge(0, &batch).await.unwrap();
    assert_eq!(answers[1], Acknowledged::Completed);
    assert_eq!(answers[3], Acknowledged::Completed);
    for n in [0, 2, 4] {
        assert_eq!(answers[n], Acknowledged::NotLeased);
    }
    assert_eq!(taken(&fixture, 1).await, 2 * BODY_BYTES);
    assert_eq!(taken(&fixture, 2).await, BODY_BYTES);
}

#[tokio::test]
async fn a_tenants_bytes_are_those_of_all_shards() {
    let fixture = Fixture::with(|options| options.shards = 4).await;
    let batch: Vec<_> = (1..20).map(|n| job(n, 1, n)).collect();
    fixture.broker.enqueue(&batch).await.unwrap();
    assert_eq!(taken(&fixture, 1).await, 19 * BODY_BYTES);
    fixture.broker.pause_lane(connection(1)).await.unwrap();
    fixture.clock.advance(Duration::from_secs(1));
    let cancelled = fixture.broker.cancel(&JobFilter::default()).await.unwrap();
    assert_eq!(cancelled.removed.len(), 19);
    assert_eq!(taken(&fixture, 1).await, 0);
}
