//! Weights, holds and caps: written by operators, read by the scheduler, and by nobody else.

use bulkhead_domain::{Class, TenantId};
use bulkhead_store::{QueueCap, QueueCapScope, QueueWeight, Role, Store, StoreError};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{Fixture, Seller, refusal, run};

const BOTH: [Class; 2] = [Class::Sync, Class::Token];

/// What the audit log says, oldest first: actions, resources and details.
async fn noted(operator: &Store) -> Vec<(String, String, serde_json::Value)> {
    let mut events = operator
        .audit()
        .list(None, None, 100)
        .await
        .expect("events");
    events.reverse();
    let settings = events.into_iter().filter(|event| {
        ["tenant.weight", "tenant.pause", "tenant.resume"].contains(&event.action.as_str())
            || event.action.starts_with("class.")
            || event.action.starts_with("cap.")
    });
    settings
        .map(|event| (event.action, event.resource, event.details))
        .collect()
}

async fn caps_of(store: &Store) -> Vec<(QueueCapScope, Class, u32)> {
    let caps = store.queue_settings().caps(100).await.expect("caps");
    let parts = |cap: QueueCap| (cap.scope, cap.class, cap.max_in_flight);
    caps.into_iter().map(parts).collect()
}

#[tokio::test]
async fn a_weight_is_kept_per_class_until_it_is_one_again() {
    let fixture = Fixture::new().await;
    let Seller { tenant, .. } = fixture.seller(1).await;
    let operator = fixture.store(Role::Operator).await;
    let settings = operator.queue_settings();
    let set = async |classes: &[Class], weight| {
        let set = settings.set_weight(tenant, classes, weight, "ann").await;
        set.expect("a weight")
    };
    assert_eq!(set(&BOTH, 3.0).await, BOTH);
    assert_eq!(set(&BOTH, 3.0).await, []);
    assert_eq!(set(&[Class::Token], 0.01).await, [Class::Token]);
    let scheduler = fixture.store(Role::Scheduler).await;
    let weight = |class, weight| QueueWeight {
        tenant,
        class,
        weight,
    };
    assert_eq!(
        scheduler
            .queue_settings()
            .weights(10)
            .await
            .expect("weights"),
        [weight(Class::Sync, 3.0), weight(Class::Token, 0.01)]
    );
    assert_eq!(set(&BOTH, 1.0).await, BOTH);
    assert_eq!(set(&BOTH, 1.0).await, []);
    assert_eq!(settings.weights(10).await.expect("weights"), []);
    let resource = format!("tenant/{tenant}");
    let event = |classes: &[Class], weight: f64| {
        let details = json!({ "classes": classes, "weight": weight });
        ("tenant.weight".to_owned(), resource.clone(), details)
    };
    assert_eq!(
        noted(&operator).await,
        [
            event(&BOTH, 3.0),
            event(&[Class::Token], 0.01),
            event(&BOTH, 1.0)
        ]
    );
}

#[tokio::test]
async fn a_weight_out_of_bounds_changes_nothing_and_notes_nothing() {
    let fixture = Fixture::new().await;
    let Seller { tenant, .. } = fixture.seller(1).await;
    let operator = fixture.store(Role::Operator).await;
    let settings = operator.queue_settings();
    for nonsense in [0.0, -1.0, 0.001, 100.5, f64::NAN, f64::INFINITY] {
        let refused = settings.set_weight(tenant, &BOTH, nonsense, "ann").await;
        assert!(
            matches!(refused, Err(StoreError::Statement { .. })),
            "{nonsense}: {refused:?}"
        );
    }
    assert_eq!(settings.weights(10).await.expect("weights"), []);
    assert_eq!(noted(&operator).await, []);
}

#[tokio::test]
async fn a_tenant_and_a_class_are_held_and_let_go_apart() {
    let fixture = Fixture::new().await;
    let Seller { tenant, .. } = fixture.seller(1).await;
    let operator = fixture.store(Role::Operator).await;
    let settings = operator.queue_settings();
    let hold = async |whom, classes: &[Class]| {
        let held = settings.hold(whom, classes, "ticket 4711", "ann").await;
        held.expect("held")
    };
    let let_go = async |whom, classes: &[Class]| {
        let going = settings.let_go(whom, classes, "ben").await;
        going.expect("let go")
    };
    assert_eq!(hold(Some(tenant), &BOTH).await, BOTH);
    assert_eq!(hold(None, &[Class::Sync]).await, [Class::Sync]);
    assert_eq!(hold(Some(tenant), &[Class::Sync]).await, []);
    assert_eq!(hold(None, &[Class::Sync]).await, []);
    let scheduler = fixture.store(Role::Scheduler).await;
    let holds = scheduler.queue_settings().holds(10).await.expect("holds");
    let seen: Vec<_> = holds.iter().map(|hold| (hold.tenant, hold.class)).collect();
    assert_eq!(
        seen,
        [
            (None, Class::Sync),
            (Some(tenant), Class::Sync),
            (Some(tenant), Class::Token)
        ]
    );
    assert_eq!(holds[0].reason, "ticket 4711");
    assert_eq!(let_go(None, &BOTH).await, [Class::Sync]);
    assert_eq!(let_go(None, &BOTH).await, []);
    assert_eq!(settings.holds(10).await.expect("holds").len(), 2);
    assert_eq!(let_go(Some(tenant), &BOTH).await, BOTH);
    assert_eq!(settings.holds(10).await.expect("holds"), []);
    let noted = noted(&operator).await;
    let said: Vec<_> = noted
        .iter()
        .map(|(action, resource, _)| (action.as_str(), resource.as_str()))
        .collect();
    let resource = format!("tenant/{tenant}");
    assert_eq!(
        said,
        [
            ("tenant.pause", resource.as_str()),
            ("class.pause", "class/sync"),
            ("class.resume", "class/sync"),
            ("tenant.resume", resource.as_str()),
        ]
    );
    assert_eq!(noted[0].2["reason"], "ticket 4711");
}

#[tokio::test]
async fn caps_of_all_of_a_tenant_and_of_a_connection_stand_beside_each_other() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let operator = fixture.store(Role::Operator).await;
    let settings = operator.queue_settings();
    let set = async |scope, max| {
        let set = settings.set_cap(scope, &[Class::Sync], max, "ann").await;
        set.expect("a cap")
    };
    let scopes = [
        QueueCapScope::EveryConnection,
        QueueCapScope::EveryTenant,
        QueueCapScope::Tenant(seller.tenant),
        QueueCapScope::Connection(seller.tenant, seller.connection),
    ];
    for (max, scope) in (4..).zip(scopes) {
        assert_eq!(set(scope, Some(max)).await, [Class::Sync], "{scope:?}");
        assert_eq!(set(scope, Some(max)).await, [], "{scope:?}");
        assert_eq!(set(scope, Some(max + 10)).await, [Class::Sync], "{scope:?}");
    }
    let scheduler = fixture.store(Role::Scheduler).await;
    let expected: Vec<_> = (14..)
        .zip(scopes)
        .map(|(max, scope)| (scope, Class::Sync, max))
        .collect();
    let mut found = caps_of(&scheduler).await;
    found.sort_unstable();
    assert_eq!(found, expected);
    for scope in scopes {
        assert_eq!(set(scope, None).await, [Class::Sync], "{scope:?}");
        assert_eq!(set(scope, None).await, [], "{scope:?}");
    }
    assert_eq!(caps_of(&scheduler).await, []);
    let actions: Vec<String> = noted(&operator)
        .await
        .into_iter()
        .map(|event| event.0)
        .collect();
    assert_eq!(
        actions.iter().filter(|action| *action == "cap.set").count(),
        8
    );
    assert_eq!(
        actions
            .iter()
            .filter(|action| *action == "cap.clear")
            .count(),
        4
    );
}

#[tokio::test]
async fn a_cap_of_nothing_or_of_nobody_is_refused() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let other = fixture.seller(2).await;
    let operator = fixture.store(Role::Operator).await;
    let nobody = TenantId::new(Uuid::from_u128(7));
    for (scope, max) in [
        (QueueCapScope::EveryTenant, 0),
        (QueueCapScope::Tenant(nobody), 3),
        // Another tenant's connection.
        (
            QueueCapScope::Connection(seller.tenant, other.connection),
            3,
        ),
    ] {
        let settings = operator.queue_settings();
        let refused = settings.set_cap(scope, &BOTH, Some(max), "ann").await;
        assert!(refused.is_err(), "{scope:?}");
    }
    assert_eq!(caps_of(&operator).await, []);
    assert_eq!(noted(&operator).await, []);
}

#[tokio::test]
async fn a_worker_neither_sees_nor_changes_a_setting_also_inside_its_job() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let job = fixture.owe_sync(seller, "night").await;
    let mut session = fixture.session("bulkhead_sync").await;
    crate::fixture::begin_and_enter(&mut session, &job).await;
    for sql in [
        "select * from bulkhead.queue_holds",
        "delete from bulkhead.queue_holds",
        "insert into bulkhead.queue_weights (tenant_id, class, weight) values (bulkhead.current_tenant(), 'sync', 100)",
        "update bulkhead.queue_caps set max_in_flight = 1000",
    ] {
        run(&mut session, "savepoint before")
            .await
            .expect("a savepoint");
        let said = refusal(run(&mut session, sql).await, sql);
        assert!(said.starts_with("permission denied for"), "{sql}: {said}");
        run(&mut session, "rollback to before").await.expect("back");
    }
}
