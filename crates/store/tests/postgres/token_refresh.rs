//! One token refresh per connection is owed or running, whoever asks and however often.

use std::time::Duration;

use bulkhead_domain::{JobKind, ObligationState, Priority};
use bulkhead_store::{
    ConnectionState, JobRef, NewAccessToken, Obligation, ObligationFilter, Outcome, Retried, Role,
    Store, TokenRefresh,
};
use jiff::{SignedDuration, Timestamp};

use crate::fixture::{Fixture, Seller, begin_and_enter, enter, refusal, run, sealed};

async fn refreshes(fixture: &Fixture, seller: Seller) -> Vec<Obligation> {
    let filter = ObligationFilter {
        connection: Some(seller.connection),
        kind: Some(JobKind::TokenRefresh),
        ..ObligationFilter::default()
    };
    let operator = fixture.store(Role::Operator).await;
    operator
        .obligations()
        .list(&filter, 100)
        .await
        .expect("rows")
}

fn live(refreshes: &[Obligation]) -> Vec<&Obligation> {
    refreshes
        .iter()
        .filter(|one| !one.state.is_final())
        .collect()
}

async fn refresh(token: &Store, job: &JobRef, next_due: Timestamp) -> TokenRefresh {
    let mut entered = enter(token, job).await;
    let fresh = NewAccessToken {
        token: &sealed(7),
        expires_at: Timestamp::now(),
        lifetime: Duration::from_secs(3600),
    };
    entered.replace_access_token(&fresh).await.expect("stored");
    let next = entered
        .complete_token_refresh(next_due)
        .await
        .expect("completed");
    entered.commit().await.expect("a commit");
    next
}

async fn request(sync: &Store, job: &JobRef, seen: u64) -> TokenRefresh {
    let mut entered = enter(sync, job).await;
    let answer = entered
        .request_token_refresh(seen)
        .await
        .expect("an answer");
    entered.commit().await.expect("a commit");
    answer
}

#[tokio::test]
async fn a_completed_refresh_owes_the_next_one() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let token = fixture.store(Role::Token).await;
    let next_due = Timestamp::now() + SignedDuration::from_mins(50);
    let job = fixture.owed_refresh(seller).await;
    assert_eq!(
        refresh(&token, &job, next_due).await,
        TokenRefresh::Requested
    );
    let all = refreshes(&fixture, seller).await;
    let live = live(&all);
    assert_eq!((all.len(), live.len()), (2, 1));
    assert_eq!(live[0].due_at.as_microsecond(), next_due.as_microsecond());
    assert_eq!(live[0].priority, Priority::NIGHT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_jobs_that_ask_at_once_cause_one_refresh() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let (token, sync) = (
        fixture.store(Role::Token).await,
        fixture.store(Role::Sync).await,
    );
    let mut jobs = Vec::new();
    for n in 0..8 {
        jobs.push(fixture.owe_sync(seller, &n.to_string()).await);
    }
    let owed = fixture.owed_refresh(seller).await;
    // Nothing live: the one that there was has been given up.
    let mut entered = enter(&token, &owed).await;
    entered
        .finish(Outcome::Dead("no answer"))
        .await
        .expect("an end");
    entered.commit().await.expect("a commit");

    let asking = jobs.iter().map(|job| request(&sync, job, 0));
    let answers = futures_util::future::join_all(asking).await;
    let requested = answers
        .iter()
        .filter(|answer| **answer == TokenRefresh::Requested)
        .count();
    assert_eq!(requested, 1, "{answers:?}");
    assert_eq!(live(&refreshes(&fixture, seller).await).len(), 1);
}

#[tokio::test]
async fn a_request_brings_the_owed_refresh_forward_and_a_token_newer_than_the_seen_one_ends_it() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let (token, sync) = (
        fixture.store(Role::Token).await,
        fixture.store(Role::Sync).await,
    );
    let job = fixture.owe_sync(seller, "night").await;
    let next_due = Timestamp::now() + SignedDuration::from_mins(50);
    refresh(&token, &fixture.owed_refresh(seller).await, next_due).await;

    assert_eq!(request(&sync, &job, 0).await, TokenRefresh::Fresh);
    assert_eq!(request(&sync, &job, 1).await, TokenRefresh::BroughtForward);
    assert_eq!(request(&sync, &job, 1).await, TokenRefresh::Pending);
    let all = refreshes(&fixture, seller).await;
    let owed = live(&all)[0];
    assert!(owed.due_at < next_due);
    assert_eq!(owed.priority, Priority::URGENT);

    refresh(&token, &fixture.owed_refresh(seller).await, next_due).await;
    assert_eq!(request(&sync, &job, 1).await, TokenRefresh::Fresh);
    assert_eq!(live(&refreshes(&fixture, seller).await).len(), 1);
}

#[tokio::test]
async fn a_refresh_that_runs_is_not_asked_for_again() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let sync = fixture.store(Role::Sync).await;
    let job = fixture.owe_sync(seller, "night").await;
    let scheduler = fixture.store(Role::Scheduler).await;
    let now = Timestamp::now();
    let due = scheduler
        .obligations()
        .claim_due(now, 10, Duration::from_secs(9), &[])
        .await;
    let keys: Vec<_> = due.expect("rows").iter().map(Obligation::key).collect();
    scheduler
        .obligations()
        .mark_enqueued(&keys, now)
        .await
        .expect("marked");
    assert_eq!(request(&sync, &job, 0).await, TokenRefresh::Pending);
    assert_eq!(live(&refreshes(&fixture, seller).await).len(), 1);
}

#[tokio::test]
async fn nobody_makes_a_second_live_refresh_not_even_the_owner() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let insert = format!(
        "insert into bulkhead.obligations (tenant_id, id, day, kind, connection_id, application_id, due_at)
         values ('{}', gen_random_uuid(), current_date + 3, 'token_refresh', '{}', '{}', now())",
        seller.tenant, seller.connection, seller.application
    );
    for (login, words) in [
        ("bulkhead_operator", "row-level security policy"),
        ("bulkhead_scheduler", "row-level security policy"),
        ("postgres", "live_token_refreshes_pkey"),
    ] {
        let mut session = fixture.session(login).await;
        let said = refusal(run(&mut session, &insert).await, login);
        assert!(said.contains(words), "{login}: {said}");
    }
}

#[tokio::test]
async fn a_dead_refresh_is_not_retried_beside_a_live_one() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let (token, sync) = (
        fixture.store(Role::Token).await,
        fixture.store(Role::Sync).await,
    );
    let job = fixture.owe_sync(seller, "night").await;
    let mut entered = enter(&token, &fixture.owed_refresh(seller).await).await;
    entered
        .finish(Outcome::Dead("no answer"))
        .await
        .expect("an end");
    entered.commit().await.expect("a commit");
    assert_eq!(request(&sync, &job, 0).await, TokenRefresh::Requested);
    let all = refreshes(&fixture, seller).await;
    let dead = all
        .iter()
        .find(|one| one.state == ObligationState::Dead)
        .expect("the dead one");
    let operator = fixture.store(Role::Operator).await;
    let answer = operator.obligations().retry(&dead.key(), "ann").await;
    assert_eq!(answer.expect("an answer"), Retried::AlreadyOwed);
}

#[tokio::test]
async fn a_revoked_token_stops_its_connection_and_only_it() {
    let fixture = Fixture::new().await;
    let (revoked, other) = (fixture.seller(1).await, fixture.seller(2).await);
    let (token, sync) = (
        fixture.store(Role::Token).await,
        fixture.store(Role::Sync).await,
    );
    let stopped = fixture.owe_sync(revoked, "night").await;
    let goes_on = fixture.owe_sync(other, "night").await;
    let mut entered = enter(&token, &fixture.owed_refresh(revoked).await).await;
    entered
        .require_reauthorization("invalid_grant")
        .await
        .expect("stopped");
    entered.commit().await.expect("a commit");

    let answer = sync.enter(&stopped).await.expect("an answer");
    assert!(
        matches!(answer, bulkhead_store::Entered::Cancelled),
        "{answer:?}"
    );
    enter(&sync, &goes_on)
        .await
        .commit()
        .await
        .expect("a commit");
    assert!(live(&refreshes(&fixture, revoked).await).is_empty());
    assert_eq!(live(&refreshes(&fixture, other).await).len(), 1);

    let operator = fixture.store(Role::Operator).await;
    let found = operator.connections().find_by_id(revoked.connection).await;
    let connection = found.expect("an answer").expect("a connection");
    assert_eq!(connection.state, ConnectionState::Reauthorize);
    let events = operator
        .audit()
        .list(Some(revoked.tenant), None, 1)
        .await
        .expect("events");
    assert_eq!(
        (events[0].action.as_str(), events[0].recorded_by.as_str()),
        ("connection.reauthorize", "bulkhead_token")
    );
    assert_eq!(events[0].details["obligations_cancelled"], 1);

    let again = operator
        .connections()
        .reauthorize(revoked.tenant, revoked.connection, &sealed(3), "ann")
        .await;
    assert!(again.expect("an answer"));
    assert_eq!(live(&refreshes(&fixture, revoked).await).len(), 1);
}

#[tokio::test]
async fn a_token_job_stores_no_other_connections_token() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.seller(1).await, fixture.seller(2).await);
    let mut session = fixture.session("bulkhead_token").await;
    begin_and_enter(&mut session, &fixture.owed_refresh(one).await).await;
    let insert = format!(
        "insert into bulkhead.access_tokens (tenant_id, connection_id, dek_id, kek_id, kek_version, wrapped_dek, sealed, expires_at, lifetime_ms)
         values ('{}', '{}', 1, 'k', 1, '', '', now(), 1)",
        other.tenant, other.connection
    );
    let said = refusal(run(&mut session, &insert).await, "another's token");
    assert!(said.contains("row-level security policy"), "{said}");
}
