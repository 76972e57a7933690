//! What the command line adds, changes and lists.

use std::time::Duration;

use bulkhead_domain::{
    ApplicationId, Class, ConnectionId, Dataset, JobId, ObligationState, Region, ScheduleId,
    TenantId,
};
use bulkhead_store::{AddError, ConnectionState, NewConnection, NewSchedule, NewTenant, Role};
use jiff::{SignedDuration, Timestamp, civil::time};
use uuid::Uuid;

use crate::fixture::{Fixture, sealed};

fn tenant(n: u128, name: &str) -> NewTenant<'_> {
    NewTenant {
        id: TenantId::new(Uuid::from_u128(n)),
        name,
        policy: "default",
        weight: 1.0,
        classes: &[Class::Sync],
    }
}

fn nightly(tenant: TenantId, planned_until: Timestamp) -> NewSchedule<'static> {
    NewSchedule {
        tenant,
        id: ScheduleId::new(Uuid::from_u128(77)),
        dataset: Dataset::Orders,
        time_zone: "Europe/Berlin",
        starts_at: time(1, 30, 0, 0),
        window: Duration::from_secs(4 * 3600),
        planned_until,
    }
}

#[tokio::test]
async fn a_name_that_is_taken_a_missing_parent_and_a_bad_value_are_told_apart() {
    let fixture = Fixture::new().await;
    let operator = fixture.store(Role::Operator).await;
    let tenants = operator.tenants();
    tenants
        .add(&tenant(1, "acme"), None, "ann")
        .await
        .expect("added");
    let error = tenants
        .add(&tenant(2, "acme"), None, "ann")
        .await
        .expect_err("taken");
    assert!(matches!(error, AddError::Exists { .. }), "{error}");
    let heavy = NewTenant {
        weight: 0.0,
        ..tenant(3, "heavy")
    };
    let error = tenants
        .add(&heavy, None, "ann")
        .await
        .expect_err("out of bounds");
    assert!(matches!(error, AddError::Invalid { .. }), "{error}");
    let orphan = NewConnection {
        tenant: TenantId::new(Uuid::from_u128(1)),
        id: ConnectionId::new(Uuid::from_u128(5)),
        application: ApplicationId::new(Uuid::from_u128(6)),
        name: "shop",
        region: Region::Na,
        seller_id: "A1",
        marketplace_ids: &["ATVPDKIKX0DER".to_owned()],
        includes_pii: false,
        refresh_token: &sealed(1),
    };
    let error = operator
        .connections()
        .add(&orphan, "ann")
        .await
        .expect_err("no application");
    assert!(matches!(error, AddError::Orphan { .. }), "{error}");
}

#[tokio::test]
async fn a_tenant_and_its_schedule_are_added_together_or_not_at_all() {
    let fixture = Fixture::new().await;
    let operator = fixture.store(Role::Operator).await;
    let now = Timestamp::now();
    let bad = NewSchedule {
        window: Duration::from_secs(90_000),
        ..nightly(tenant(1, "acme").id, now)
    };
    operator
        .tenants()
        .add(&tenant(1, "acme"), Some(&bad), "ann")
        .await
        .expect_err("a window of 25 hours");
    assert!(
        operator
            .tenants()
            .list(10)
            .await
            .expect("a list")
            .is_empty()
    );
    let good = nightly(tenant(1, "acme").id, now);
    operator
        .tenants()
        .add(&tenant(1, "acme"), Some(&good), "ann")
        .await
        .expect("added");
    let found = operator
        .tenants()
        .find("acme")
        .await
        .expect("an answer")
        .expect("a tenant");
    let schedules = operator
        .schedules()
        .list(Some(found.id), 10)
        .await
        .expect("a list");
    assert_eq!(schedules[0].starts_at, time(1, 30, 0, 0));
    assert!(schedules[0].nightly().is_ok());
}

#[tokio::test]
async fn a_schedule_is_planned_by_one_scheduler_and_not_while_it_is_off() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let (operator, scheduler) = (
        fixture.store(Role::Operator).await,
        fixture.store(Role::Scheduler).await,
    );
    let now = Timestamp::now();
    let schedule = nightly(seller.tenant, now);
    operator
        .schedules()
        .add(&schedule, "ann")
        .await
        .expect("added");
    let until = now + SignedDuration::from_hours(24);
    let due = scheduler
        .schedules()
        .to_plan(until, 10)
        .await
        .expect("schedules");
    assert_eq!(due.len(), 1);
    assert!(
        scheduler
            .schedules()
            .advance(&due[0], until)
            .await
            .expect("an answer")
    );
    assert!(
        !scheduler
            .schedules()
            .advance(&due[0], until)
            .await
            .expect("an answer")
    );
    assert!(
        scheduler
            .schedules()
            .to_plan(until, 10)
            .await
            .expect("schedules")
            .is_empty()
    );
    let later = until + SignedDuration::from_hours(24);
    assert_eq!(
        scheduler
            .schedules()
            .to_plan(later, 10)
            .await
            .expect("schedules")
            .len(),
        1
    );
    let off = operator
        .schedules()
        .set_enabled(seller.tenant, schedule.id, false, "ann")
        .await;
    assert!(off.expect("an answer"));
    assert!(
        scheduler
            .schedules()
            .to_plan(later, 10)
            .await
            .expect("schedules")
            .is_empty()
    );
}

#[tokio::test]
async fn a_connection_that_becomes_active_has_the_running_night_planned_again() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let (operator, scheduler) = (
        fixture.store(Role::Operator).await,
        fixture.store(Role::Scheduler).await,
    );
    let now = Timestamp::now();
    let tomorrow = now + SignedDuration::from_hours(24);
    let schedule = nightly(seller.tenant, tomorrow);
    operator
        .schedules()
        .add(&schedule, "ann")
        .await
        .expect("added");
    let pause = operator
        .connections()
        .pause(seller.tenant, seller.connection, "holiday", "ann")
        .await;
    assert!(pause.expect("an answer"));
    assert!(
        scheduler
            .schedules()
            .to_plan(now, 10)
            .await
            .expect("schedules")
            .is_empty()
    );

    let resume = operator
        .connections()
        .resume(seller.tenant, seller.connection, "ann")
        .await;
    assert!(resume.expect("an answer"));
    let due = scheduler
        .schedules()
        .to_plan(now, 10)
        .await
        .expect("schedules");
    let night_ago = now - SignedDuration::from_hours(4);
    let moved = due[0].planned_until.duration_since(night_ago);
    assert!(
        moved.abs() < SignedDuration::from_mins(1),
        "back by the window: {moved:?}"
    );
}

#[tokio::test]
async fn a_paused_connection_owes_nothing_and_a_resumed_one_a_token() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    fixture.owe_sync(seller, "night").await;
    let (operator, scheduler) = (
        fixture.store(Role::Operator).await,
        fixture.store(Role::Scheduler).await,
    );
    let connections = operator.connections();
    assert!(
        connections
            .pause(seller.tenant, seller.connection, "holiday", "ann")
            .await
            .expect("an answer")
    );
    assert!(
        !connections
            .pause(seller.tenant, seller.connection, "again", "ann")
            .await
            .expect("an answer")
    );
    assert_eq!(
        scheduler.obligations().next_due().await.expect("a time"),
        None
    );
    assert!(
        scheduler
            .connections()
            .active(seller.tenant, None, 10)
            .await
            .expect("a list")
            .is_empty()
    );
    let found = connections
        .find(seller.tenant, "seller 1")
        .await
        .expect("an answer")
        .expect("a connection");
    assert_eq!(
        (found.state, found.tenant_name.as_str()),
        (ConnectionState::Paused, "seller 1")
    );

    let refused = connections
        .reauthorize(seller.tenant, seller.connection, &sealed(4), "ann")
        .await;
    assert!(
        !refused.expect("an answer"),
        "a pause is ended by resuming only"
    );
    assert!(
        connections
            .resume(seller.tenant, seller.connection, "ann")
            .await
            .expect("an answer")
    );
    assert!(
        scheduler
            .obligations()
            .next_due()
            .await
            .expect("a time")
            .is_some()
    );
    let active = scheduler
        .connections()
        .active(seller.tenant, None, 10)
        .await
        .expect("a list");
    assert_eq!(active, [(seller.connection, seller.application)]);
    let more = scheduler
        .connections()
        .active(seller.tenant, Some(seller.connection), 10)
        .await;
    assert!(more.expect("a list").is_empty());
}

#[tokio::test]
async fn a_resumed_connection_owes_again_what_its_pause_withdrew_and_nothing_else() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let night = fixture.owe_sync(seller, "night").await;
    let cancelled = fixture.owe_sync(seller, "cancelled").await;
    let operator = fixture.store(Role::Operator).await;
    let state = async |job: JobId| {
        let found = operator.obligations().find(job).await.expect("an answer");
        found.expect("an obligation").state
    };
    let key = operator
        .obligations()
        .find(cancelled.job)
        .await
        .expect("an answer")
        .expect("an obligation")
        .key();
    assert!(
        operator
            .obligations()
            .cancel(&key, "not wanted", "ann")
            .await
            .expect("an answer")
    );

    let connections = operator.connections();
    connections
        .pause(seller.tenant, seller.connection, "holiday", "ann")
        .await
        .expect("an answer");
    assert_eq!(state(night.job).await, ObligationState::Cancelled);
    connections
        .resume(seller.tenant, seller.connection, "ann")
        .await
        .expect("an answer");
    assert_eq!(state(night.job).await, ObligationState::Owed);
    assert_eq!(state(cancelled.job).await, ObligationState::Cancelled);
}

#[tokio::test]
async fn adding_is_in_the_audit_log_with_who_did_it_and_without_a_secret() {
    let fixture = Fixture::new().await;
    fixture.seller(1).await;
    let operator = fixture.store(Role::Operator).await;
    let events = operator.audit().list(None, None, 10).await.expect("events");
    let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["connection.add", "application.add", "tenant.add"]);
    assert!(events.iter().all(|event| event.actor == "ann"));
    assert_eq!(
        operator
            .connections()
            .list(None, 10)
            .await
            .expect("a list")
            .len(),
        1
    );
    assert_eq!(
        operator.applications().list(10).await.expect("a list")[0].secret_version,
        Some(1)
    );
    let found = operator
        .applications()
        .find("seller 1")
        .await
        .expect("an answer");
    assert!(found.is_some());
}
