//! Acknowledge and fetch in one call.

use bulkhead_broker::{
    Acknowledged, Acknowledgement, FetchError, FetchRequest, Leased, Outcome, Turn,
};
use bulkhead_domain::WorkerId;

use crate::fixture::{Fixture, Worker, ids, job, job_id, retry, snooze};

fn request(worker: &WorkerId, sequence: u64, max: usize) -> FetchRequest<'_> {
    FetchRequest {
        worker,
        shard: 0,
        sequence,
        max,
    }
}

fn ends(leased: &[Leased], outcomes: impl IntoIterator<Item = Outcome>) -> Vec<Acknowledgement> {
    let end = |(one, outcome): (&Leased, Outcome)| Acknowledgement {
        lease: one.lease.clone(),
        outcome,
    };
    leased.iter().zip(outcomes).map(end).collect()
}

#[tokio::test]
async fn a_turn_whose_reply_was_lost_counts_once() {
    let fixture = Fixture::start().await;
    let worker = WorkerId::new("a".to_owned());
    let jobs: Vec<_> = (0..9).map(|n| job(n, 1, 1)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let first = fixture.broker.fetch(&request(&worker, 1, 5)).await.unwrap();
    let bury = Outcome::DeadLetter {
        reason: "no".to_owned(),
    };
    let outcomes = [
        Outcome::Complete,
        retry(60),
        Outcome::Release,
        bury,
        snooze(60, false),
    ];
    let ends = ends(&first.leased, outcomes);
    let turn = async || -> Turn {
        let request = request(&worker, 2, 3);
        let turn = fixture.broker.acknowledge_and_fetch(&ends, &request);
        turn.await.unwrap()
    };
    let answered = turn().await;
    assert_eq!(
        answered.acknowledged.unwrap(),
        [
            Acknowledged::Completed,
            Acknowledged::Retrying,
            Acknowledged::Released,
            Acknowledged::DeadLettered,
            Acknowledged::Snoozed,
        ]
    );
    // What was released in the first half is fetched in the second.
    let expected = [2, 5, 6].map(job_id);
    assert_eq!(ids(&answered.fetched.leased), expected);
    let total = fixture.broker.stats().await.unwrap().total;
    let again = turn().await;
    assert_eq!(ids(&again.fetched.leased), expected);
    let tokens = |turn: &[Leased]| -> Vec<_> { turn.iter().map(|one| one.lease.token()).collect() };
    assert_eq!(
        tokens(&again.fetched.leased),
        tokens(&answered.fetched.leased)
    );
    assert_eq!(
        again.acknowledged.unwrap(),
        [
            Acknowledged::NotLeased,
            Acknowledged::NotLeased,
            Acknowledged::Fenced,
            Acknowledged::NotLeased,
            Acknowledged::NotLeased,
        ]
    );
    assert_eq!(fixture.broker.stats().await.unwrap().total, total);
    let stale = request(&worker, 1, 3);
    let refused = fixture.broker.acknowledge_and_fetch(&ends, &stale).await;
    assert!(matches!(refused, Err(FetchError::Stale { .. })));
}

#[tokio::test]
async fn a_turn_takes_any_number_of_acknowledgements_and_none() {
    let fixture = Fixture::start().await;
    let worker = WorkerId::new("a".to_owned());
    let jobs: Vec<_> = (0..700).map(|n| job(n, n % 7, n % 31)).collect();
    fixture.broker.enqueue(&jobs).await.unwrap();
    let mut leased = Vec::new();
    for sequence in 1..=3 {
        let request = request(&worker, sequence, 200);
        let turn = fixture.broker.acknowledge_and_fetch(&[], &request).await;
        let turn = turn.unwrap();
        assert_eq!(turn.acknowledged.unwrap(), []);
        leased.extend(turn.fetched.leased);
    }
    let ends = ends(&leased, std::iter::repeat_n(Outcome::Complete, 600));
    let last = request(&worker, 4, 256);
    let turn = fixture.broker.acknowledge_and_fetch(&ends, &last).await;
    let turn = turn.unwrap();
    assert_eq!(
        turn.acknowledged.unwrap(),
        vec![Acknowledged::Completed; 600]
    );
    assert_eq!(turn.fetched.leased.len(), 100);
    let none = request(&worker, 5, 0);
    let turn = fixture.broker.acknowledge_and_fetch(&ends[..1], &none);
    let turn = turn.await.unwrap();
    assert_eq!(turn.acknowledged.unwrap(), [Acknowledged::NotLeased]);
    assert_eq!(ids(&turn.fetched.leased), []);
}

#[tokio::test]
async fn an_acknowledgement_on_which_the_script_fails_does_not_hold_up_the_fetch() {
    let fixture = Fixture::start().await;
    let mut worker = Worker::named("a");
    fixture
        .broker
        .enqueue(&[job(1, 1, 1), job(2, 1, 2)])
        .await
        .unwrap();
    let leased = fixture.fetch(&mut worker, 2).await;
    // Its body is needed to put a job back into its lane.
    fixture.redis.command("DEL {sync.0}:jobs").unwrap();
    fixture.broker.enqueue(&[job(3, 1, 3)]).await.unwrap();
    let ends = ends(&leased, [snooze(5, true), Outcome::Complete]);
    let request = request(&worker.id, worker.sequence + 1, 9);
    let turn = fixture.broker.acknowledge_and_fetch(&ends, &request);
    let turn = turn.await.unwrap();
    assert!(turn.acknowledged.is_none());
    assert_eq!(ids(&turn.fetched.leased), [job_id(3)]);
    let other = fixture.acknowledge(&leased[1], Outcome::Complete).await;
    assert_eq!(other, Acknowledged::Completed);
}
