//! The audit log only grows.

use bulkhead_store::{NewAuditEvent, Role};
use sqlx::PgConnection;

use crate::fixture::{Fixture, refusal, run, scalar};

async fn partitions(admin: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select inhrelid::regclass::text from pg_inherits
         where inhparent = 'bulkhead.audit_events'::regclass order by 1",
    )
    .fetch_all(admin)
    .await
    .expect("partitions")
}

#[tokio::test]
async fn not_even_a_superuser_changes_events_on_any_partition_the_newest_included() {
    let fixture = Fixture::new().await;
    fixture.seller(1).await;
    let mut admin = fixture.admin().await;
    run(&mut admin, "insert into bulkhead.audit_events (day, actor, action, resource) values (current_date + 400, 'x', 'x', 'x')")
        .await
        .expect("an event for the default partition");
    let mut tables = partitions(&mut admin).await;
    assert!(tables.len() >= 10, "{tables:?}");
    tables.push("bulkhead.audit_events".to_owned());
    for table in tables {
        let sql = format!("truncate {table}");
        let said = refusal(run(&mut admin, &sql).await, &sql);
        assert!(
            said.contains("audit events are not changed"),
            "{sql}: {said}"
        );
        let rows: i64 = scalar(&mut admin, &format!("select count(*) from {table}"))
            .await
            .expect("a count");
        for sql in [
            format!("update {table} set actor = 'nobody'"),
            format!("delete from {table}"),
        ] {
            let answer = run(&mut admin, &sql).await;
            if rows == 0 {
                assert_eq!(answer.expect("nothing to change").rows_affected(), 0);
            } else {
                let said = refusal(answer, &sql);
                assert!(
                    said.contains("audit events are not changed"),
                    "{sql}: {said}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_partition_that_is_made_later_is_as_closed() {
    let fixture = Fixture::new().await;
    let mut admin = fixture.admin().await;
    run(
        &mut admin,
        "select bulkhead.add_partition('audit_events', current_date + 90)",
    )
    .await
    .expect("made");
    let newest = partitions(&mut admin)
        .await
        .into_iter()
        .filter(|name| !name.ends_with("other"))
        .max();
    let newest = newest.expect("a partition");
    run(&mut admin, "insert into bulkhead.audit_events (day, actor, action, resource) values (current_date + 90, 'x', 'x', 'x')")
        .await
        .expect("an event");
    for sql in [
        format!("truncate {newest}"),
        format!("delete from {newest}"),
        format!("update {newest} set actor = 'y'"),
    ] {
        let said = refusal(run(&mut admin, &sql).await, &sql);
        assert!(
            said.contains("audit events are not changed"),
            "{sql}: {said}"
        );
    }
}

#[tokio::test]
async fn a_writer_chooses_neither_its_name_nor_its_time() {
    let fixture = Fixture::new().await;
    for role in Role::ALL {
        let mut session = fixture.session(role.login()).await;
        for column in ["recorded_by", "at", "day", "id"] {
            let sql = format!(
                "insert into bulkhead.audit_events (actor, action, resource, {column}) values ('x', 'x', 'x', default)"
            );
            let said = refusal(run(&mut session, &sql).await, &sql);
            assert!(
                said.starts_with("permission denied"),
                "{role} {column}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn events_are_listed_newest_first_with_the_login_that_wrote_them() {
    let fixture = Fixture::new().await;
    let event = |action| NewAuditEvent {
        tenant: None,
        actor: "somebody",
        action,
        resource: "fleet",
        details: serde_json::json!({ "n": 1 }),
    };
    fixture
        .store(Role::Scheduler)
        .await
        .audit()
        .append(&event("first"))
        .await
        .expect("an event");
    let operator = fixture.store(Role::Operator).await;
    operator
        .audit()
        .append(&event("second"))
        .await
        .expect("an event");
    let events = operator.audit().list(None, None, 10).await.expect("events");
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.action.as_str(), event.recorded_by.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("second", "bulkhead_operator"),
            ("first", "bulkhead_scheduler")
        ]
    );
    assert_eq!(events[0].details["n"], 1);
}
