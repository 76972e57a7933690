//! How long jobs wait until they are started.

use std::{collections::BTreeMap, time::Duration};

use bulkhead_broker::{JobFilter, Leased, Outcome, WaitHistogram};
use bulkhead_domain::Priority;
use jiff::ToSpan;

use crate::fixture::{Fixture, VISIBILITY, Worker, job, retry, snooze, start, tenant};

const SECOND: Duration = Duration::from_secs(1);

async fn only_one(fixture: &Fixture, worker: &mut Worker) -> Leased {
    let mut leased = fixture.fetch(worker, 9).await;
    assert_eq!(leased.len(), 1);
    leased.remove(0)
}

#[tokio::test]
async fn a_job_has_waited_since_it_was_enqueued_or_might_run_until_it_is_leased() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    fixture.clock.advance(5 * SECOND);
    let leased = fixture.fetch(&mut worker, 1).await.remove(0);
    assert_eq!(leased.waited, Some(5 * SECOND));
    fixture.clock.advance(SECOND);
    let again = fixture.fetch_again(&worker, 1).await.leased.remove(0);
    assert_eq!(again.waited, Some(5 * SECOND), "a lost reply repeated");
    fixture.acknowledge(&leased, Outcome::Release).await;
    let leased = only_one(&fixture, &mut worker).await;
    assert_eq!(leased.waited, Some(6 * SECOND), "was not started");
    fixture.acknowledge(&leased, Outcome::Complete).await;

    let delayed = [(job(2, 1, 1), Some(start() + 60.seconds()))];
    fixture.broker.enqueue_at(&delayed).await.unwrap();
    let entry = fixture.broker.job(delayed[0].0.id).await.unwrap().unwrap();
    assert_eq!(entry.runnable_at, Some(start() + 60.seconds()));
    assert_eq!(entry.enqueued_at, Some(start() + 6.seconds()));
    fixture.clock.advance(57 * SECOND);
    let leased = only_one(&fixture, &mut worker).await;
    assert_eq!(leased.waited, Some(3 * SECOND));
}

#[tokio::test]
async fn a_start_after_a_snooze_a_failure_a_crash_or_a_redrive_is_not_a_first_one() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let bury = Outcome::DeadLetter {
        reason: "no".to_owned(),
    };
    for (n, outcome) in (1..).zip([snooze(0, true), snooze(0, false), retry(0), bury]) {
        fixture.broker.enqueue(&[job(n, 1, 1)]).await.unwrap();
        let leased = only_one(&fixture, &mut worker).await;
        assert!(leased.waited.is_some());
        fixture.acknowledge(&leased, outcome.clone()).await;
        fixture.broker.redrive(&JobFilter::default()).await.unwrap();
        let leased = only_one(&fixture, &mut worker).await;
        assert_eq!(leased.waited, None, "{outcome:?}");
        assert_eq!(leased.job, job(n, 1, 1));
        fixture.acknowledge(&leased, Outcome::Complete).await;
    }
    fixture.broker.enqueue(&[job(9, 1, 1)]).await.unwrap();
    only_one(&fixture, &mut worker).await;
    fixture.clock.advance(VISIBILITY);
    fixture.broker.reap(0, 9).await.unwrap();
    assert_eq!(only_one(&fixture, &mut worker).await.waited, None);
}

#[tokio::test]
async fn a_job_moved_to_an_earlier_time_is_not_counted_and_one_of_more_urgency_is() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    let delayed = [(job(1, 1, 1), Some(start() + 60.seconds()))];
    fixture.broker.enqueue_at(&delayed).await.unwrap();
    let now = [(job(1, 1, 1), None)];
    fixture.broker.enqueue_forward(&now).await.unwrap();
    assert_eq!(only_one(&fixture, &mut worker).await.waited, None);
    fixture.broker.enqueue(&[job(2, 1, 1)]).await.unwrap();
    fixture.clock.advance(SECOND);
    let mut urgent = job(2, 1, 1);
    urgent.priority = Priority::URGENT;
    let urgent = [(urgent, None)];
    fixture.broker.enqueue_forward(&urgent).await.unwrap();
    let leased = only_one(&fixture, &mut worker).await;
    assert_eq!(leased.waited, Some(SECOND));
}

fn waits(seconds: &[u64]) -> WaitHistogram {
    let mut waits = WaitHistogram::default();
    for wait in seconds {
        waits.record(Duration::from_secs(*wait));
    }
    waits
}

#[tokio::test]
async fn the_waits_of_all_shards_workers_and_of_the_hour_before_are_added_up() {
    let fixture = Fixture::with(|options| options.shards = 2).await;
    let broker = &fixture.broker;
    assert_eq!(broker.waits().await.unwrap(), BTreeMap::new());
    let of =
        |tenant_number, seconds: &[u64]| BTreeMap::from([(tenant(tenant_number), waits(seconds))]);
    broker.add_waits(0, &of(1, &[0, 3, 3])).await.unwrap();
    broker.add_waits(1, &of(1, &[3])).await.unwrap();
    broker.add_waits(1, &of(2, &[900])).await.unwrap();
    fixture.clock.advance(Duration::from_secs(3_600));
    broker.add_waits(0, &of(1, &[7])).await.unwrap();
    let found = broker.waits().await.unwrap();
    assert_eq!(found[&tenant(1)], waits(&[0, 3, 3, 3, 7]));
    assert_eq!(found[&tenant(2)], waits(&[900]));
    fixture.clock.advance(Duration::from_secs(3_600));
    let found = broker.waits().await.unwrap();
    assert_eq!(found, of(1, &[7]), "two hours ago is over");
    for key in fixture.leftovers().await {
        let answer = fixture.redis.command(&format!("TTL {key}")).unwrap();
        let seconds: u64 = answer.trim_start_matches(':').parse().unwrap();
        assert!(seconds <= 7_200, "{key}: {answer}");
    }
}
