//! What is owed is claimed once, enqueued, and owed again when its job is lost.

use std::{collections::BTreeSet, time::Duration};

use bulkhead_domain::{Dataset, JobId, JobKind, ObligationState};
use bulkhead_store::{JobRef, NewSync, Obligation, ObligationKey, Outcome, Retried, Role};
use jiff::{SignedDuration, Timestamp};

use crate::fixture::{Fixture, Seller, enter, scalar, sync_of, token};

const LEASE: Duration = Duration::from_secs(30);

fn syncs(seller: Seller, number: usize, due_at: Timestamp) -> Vec<NewSync> {
    let sync = |n: usize| NewSync {
        due_at,
        ..sync_of(seller, &n.to_string())
    };
    (0..number).map(sync).collect()
}

fn keys(obligations: &[Obligation]) -> Vec<ObligationKey> {
    obligations.iter().map(Obligation::key).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn schedulers_that_claim_at_once_never_get_the_same_row() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let scheduler = fixture.store(Role::Scheduler).await;
    let now = Timestamp::now();
    let planned = scheduler
        .obligations()
        .plan(&syncs(seller, 1_000, now))
        .await;
    assert_eq!(planned.expect("planned"), 1_000);

    let claimers = (0..6).map(|_| {
        let scheduler = scheduler.clone();
        tokio::spawn(async move {
            let mut claimed: Vec<JobId> = Vec::new();
            loop {
                let due = scheduler
                    .obligations()
                    .claim_due(now, 40, LEASE, &[])
                    .await
                    .expect("rows");
                if due.is_empty() {
                    return claimed;
                }
                claimed.extend(due.iter().map(|one| one.id));
            }
        })
    });
    let claimed: Vec<JobId> = futures_util::future::join_all(claimers)
        .await
        .into_iter()
        .flat_map(|claimed| claimed.expect("a claimer"))
        .collect();
    let distinct: BTreeSet<JobId> = claimed.iter().copied().collect();
    assert_eq!(distinct.len(), claimed.len(), "a row was claimed twice");
    // And the token refresh of the new connection.
    assert_eq!(claimed.len(), 1_001);
}

#[tokio::test]
async fn a_claim_that_is_not_followed_up_lapses() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let scheduler = fixture.store(Role::Scheduler).await;
    let obligations = scheduler.obligations();
    let now = Timestamp::now();
    obligations
        .plan(&syncs(seller, 3, now))
        .await
        .expect("planned");
    assert_eq!(
        obligations
            .claim_due(now, 10, LEASE, &[])
            .await
            .expect("rows")
            .len(),
        4
    );
    let before = now + SignedDuration::from_secs(29);
    assert_eq!(
        obligations
            .claim_due(before, 10, LEASE, &[])
            .await
            .expect("rows")
            .len(),
        0
    );
    let after = now + SignedDuration::from_secs(31);
    assert_eq!(
        obligations
            .claim_due(after, 10, LEASE, &[])
            .await
            .expect("rows")
            .len(),
        4
    );
}

#[tokio::test]
async fn nothing_is_claimed_before_it_is_due_and_the_soonest_comes_first() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let scheduler = fixture.store(Role::Scheduler).await;
    let obligations = scheduler.obligations();
    let now = Timestamp::now() + SignedDuration::from_hours(1);
    let mut planned = syncs(seller, 3, now);
    planned[1].due_at = now - SignedDuration::from_secs(60);
    planned[2].due_at = now + SignedDuration::from_secs(60);
    obligations.plan(&planned).await.expect("planned");
    let refresh = obligations
        .claim_due(now, 1, LEASE, &[])
        .await
        .expect("rows");
    assert_eq!(refresh[0].kind, JobKind::TokenRefresh);
    let first = obligations
        .claim_due(now, 1, LEASE, &[])
        .await
        .expect("rows");
    assert_eq!(first[0].id, planned[1].id);
    let second = obligations
        .claim_due(now, 10, LEASE, &[])
        .await
        .expect("rows");
    assert_eq!(
        second.iter().map(|one| one.id).collect::<Vec<_>>(),
        [planned[0].id]
    );
}

#[tokio::test]
async fn planning_twice_is_planning_once_whatever_became_of_it() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let scheduler = fixture.store(Role::Scheduler).await;
    let obligations = scheduler.obligations();
    let planned = syncs(seller, 5, Timestamp::now());
    assert_eq!(obligations.plan(&planned).await.expect("planned"), 5);
    let sync = fixture.store(Role::Sync).await;
    let job = job_of(seller, &planned[0]);
    let mut entered = enter(&sync, &job).await;
    entered.finish(Outcome::Done).await.expect("an end");
    entered.commit().await.expect("a commit");
    assert_eq!(obligations.plan(&planned).await.expect("planned"), 0);
    let operator = fixture.store(Role::Operator).await;
    let found = operator
        .obligations()
        .find(planned[0].id)
        .await
        .expect("an answer");
    assert_eq!(found.expect("a row").state, ObligationState::Done);
}

fn job_of(seller: Seller, sync: &NewSync) -> JobRef {
    JobRef {
        tenant: seller.tenant,
        connection: seller.connection,
        job: sync.id,
        day: sync.day(),
        token: token(1),
        attempt: 1,
    }
}

#[tokio::test]
async fn an_obligation_becomes_the_job_that_it_was_planned_as() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let scheduler = fixture.store(Role::Scheduler).await;
    let since = "2026-01-01T00:00:00Z".parse().expect("a time");
    let sync = NewSync {
        since: Some(since),
        deadline: Some(since),
        ..sync_of(seller, "a")
    };
    scheduler
        .obligations()
        .plan(std::slice::from_ref(&sync))
        .await
        .expect("planned");
    let due = scheduler
        .obligations()
        .claim_due(Timestamp::now(), 10, LEASE, &[])
        .await
        .expect("rows");
    let owed = due.iter().find(|one| one.id == sync.id).expect("the row");
    let job = owed.job(Some("00-1-2-01".to_owned()));
    assert_eq!(
        (
            job.id,
            job.kind,
            job.tenant,
            job.connection,
            job.application,
            job.day
        ),
        (
            sync.id,
            JobKind::Sync,
            seller.tenant,
            seller.connection,
            seller.application,
            sync.day()
        )
    );
    assert_eq!(
        (job.params.dataset, job.params.since),
        (Some(Dataset::Orders), Some(since))
    );
    assert_eq!(owed.deadline, Some(since));
}

#[tokio::test]
async fn everything_enqueued_is_owed_again_after_a_loss_of_redis_and_nothing_else() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let scheduler = fixture.store(Role::Scheduler).await;
    let obligations = scheduler.obligations();
    let now = Timestamp::now();
    obligations
        .plan(&syncs(seller, 25, now))
        .await
        .expect("planned");
    let claimed = obligations
        .claim_due(now, 100, LEASE, &[])
        .await
        .expect("rows");
    assert_eq!(
        obligations
            .mark_enqueued(&keys(&claimed), now)
            .await
            .expect("marked"),
        26
    );
    assert_eq!(
        obligations
            .claim_due(now, 100, LEASE, &[])
            .await
            .expect("rows")
            .len(),
        0
    );

    let sync = fixture.store(Role::Sync).await;
    let job = JobRef {
        job: syncs(seller, 1, now)[0].id,
        ..job_of(seller, &syncs(seller, 1, now)[0])
    };
    let mut entered = enter(&sync, &job).await;
    entered.finish(Outcome::Done).await.expect("an end");
    entered.commit().await.expect("a commit");

    let later = now + SignedDuration::from_secs(1);
    let mut owed = 0;
    loop {
        match obligations.owe_all_again(later, 10).await.expect("rows") {
            0 => break,
            rows => owed += rows,
        }
    }
    assert_eq!(owed, 25);
    assert_eq!(
        obligations
            .claim_due(now, 100, LEASE, &[])
            .await
            .expect("rows")
            .len(),
        25
    );
}

#[tokio::test]
async fn a_single_lost_job_is_found_and_owed_again() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let scheduler = fixture.store(Role::Scheduler).await;
    let obligations = scheduler.obligations();
    let now = Timestamp::now();
    obligations
        .plan(&syncs(seller, 2, now))
        .await
        .expect("planned");
    let claimed = obligations
        .claim_due(now, 100, LEASE, &[])
        .await
        .expect("rows");
    obligations
        .mark_enqueued(&keys(&claimed), now)
        .await
        .expect("marked");
    assert!(
        obligations
            .enqueued_before(now, 10)
            .await
            .expect("rows")
            .is_empty()
    );
    let later = now + SignedDuration::from_secs(1);
    let old = obligations.enqueued_before(later, 10).await.expect("rows");
    assert_eq!(old.len(), 3);
    assert_eq!(
        obligations.owe_again(&keys(&old[..1])).await.expect("owed"),
        1
    );
    assert_eq!(
        obligations
            .mark_dead(&keys(&old[1..]), "quarantined")
            .await
            .expect("dead"),
        2
    );
    let due = obligations
        .claim_due(now, 10, LEASE, &[])
        .await
        .expect("rows");
    assert_eq!(keys(&due), keys(&old[..1]));
}

#[tokio::test]
async fn the_greatest_fencing_token_of_live_jobs_is_known() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let scheduler = fixture.store(Role::Scheduler).await;
    assert_eq!(
        scheduler
            .obligations()
            .max_fencing_token()
            .await
            .expect("a token"),
        0
    );
    let job = fixture.owe_sync(seller, "a").await;
    let sync = fixture.store(Role::Sync).await;
    let entered = enter(
        &sync,
        &JobRef {
            token: token(77),
            ..job
        },
    )
    .await;
    entered.commit().await.expect("a commit");
    assert_eq!(
        scheduler
            .obligations()
            .max_fencing_token()
            .await
            .expect("a token"),
        77
    );
}

#[tokio::test]
async fn an_operator_withdraws_and_retries_and_the_audit_log_says_so() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let job = fixture.owe_sync(seller, "a").await;
    let key = ObligationKey {
        tenant: job.tenant,
        id: job.job,
        day: job.day,
    };
    let operator = fixture.store(Role::Operator).await;
    let obligations = operator.obligations();
    assert_eq!(
        obligations.retry(&key, "ann").await.expect("an answer"),
        Retried::NotDead
    );
    assert!(
        obligations
            .cancel(&key, "by mistake", "ann")
            .await
            .expect("an answer")
    );
    assert!(
        !obligations
            .cancel(&key, "twice", "ann")
            .await
            .expect("an answer")
    );
    assert_eq!(
        obligations.retry(&key, "ann").await.expect("an answer"),
        Retried::Owed
    );
    let found = obligations
        .find(job.job)
        .await
        .expect("an answer")
        .expect("a row");
    assert_eq!((found.state, found.attempts), (ObligationState::Owed, 0));
    let events = operator
        .audit()
        .list(Some(seller.tenant), None, 2)
        .await
        .expect("events");
    let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["job.retry", "job.cancel"]);
}

#[tokio::test]
async fn counts_are_by_tenant_kind_and_state() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let now = Timestamp::now();
    let operator = fixture.store(Role::Operator).await;
    let owed = operator
        .obligations()
        .owe(&syncs(seller, 4, now), "ann")
        .await;
    assert_eq!(owed.expect("owed"), 4);
    let since = bulkhead_store::obligation::utc_day(now);
    let counts = operator.obligations().count(since).await.expect("counts");
    let counts: Vec<_> = counts
        .iter()
        .map(|one| (one.kind, one.state, one.count))
        .collect();
    assert_eq!(
        counts,
        [
            (JobKind::Sync, ObligationState::Owed, 4),
            (JobKind::TokenRefresh, ObligationState::Owed, 1)
        ]
    );
    assert!(
        operator
            .obligations()
            .last_done(since)
            .await
            .expect("times")
            .is_empty()
    );
}

#[tokio::test]
async fn partitions_are_kept_ahead_and_making_them_twice_does_nothing() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let scheduler = fixture.store(Role::Scheduler).await;
    scheduler
        .obligations()
        .maintain_partitions()
        .await
        .expect("made");
    assert_eq!(
        scheduler
            .obligations()
            .maintain_partitions()
            .await
            .expect("made"),
        0
    );

    let near = Timestamp::now() + SignedDuration::from_hours(24 * 7);
    let far = Timestamp::now() + SignedDuration::from_hours(24 * 60);
    let mut planned = syncs(seller, 2, near);
    planned[1].due_at = far;
    scheduler
        .obligations()
        .plan(&planned)
        .await
        .expect("planned");
    let mut admin = fixture.admin().await;
    let other: i64 = scalar(
        &mut admin,
        "select count(*) from bulkhead.obligations_other",
    )
    .await
    .expect("a count");
    assert_eq!(
        other, 1,
        "only what is far away is in the default partition"
    );
}

#[tokio::test]
async fn one_scheduler_at_a_time_has_the_turn_to_rebuild_redis() {
    let fixture = Fixture::new().await;
    let scheduler = fixture.store(Role::Scheduler).await;
    let turn = scheduler.rebuild_turn().await.expect("an answer");
    let mut turn = turn.expect("nobody has it");
    let other = fixture.store(Role::Scheduler).await;
    assert!(other.rebuild_turn().await.expect("an answer").is_none());
    turn.keep().await.expect("still held");
    turn.end().await.expect("given back");
    let next = other.rebuild_turn().await.expect("an answer");
    // One that fails in the middle gives it back, too: its rollback is sent after it was dropped.
    drop(next.expect("nobody has it"));
    let again = async { while scheduler.rebuild_turn().await.expect("an answer").is_none() {} };
    let within = Duration::from_secs(30);
    let again = tokio::time::timeout(within, again).await;
    again.expect("it was given back");
}
