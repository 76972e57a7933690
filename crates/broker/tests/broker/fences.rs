//! What stops a call.

use bulkhead_broker::{Fences, PermitAnswer, PermitSubject, Permits, Stop, StopScope};
use bulkhead_domain::{
    ApplicationId, FenceEpoch, FencingToken, Margins,
    operation::{GET_ORDER, LWA_TOKEN},
};
use uuid::Uuid;

use crate::fixture::{Fixture, VISIBILITY, Worker, connection, grant, job, open, tenant};

fn subject() -> PermitSubject {
    PermitSubject {
        application: ApplicationId::new(Uuid::from_u128(0xa)),
        tenant: tenant(1),
        connection: connection(1),
        epoch: FenceEpoch::NEVER_FENCED,
    }
}

fn stop_of(answer: &PermitAnswer) -> Option<Stop> {
    match answer {
        PermitAnswer::Stopped(stop) => Some(*stop),
        _ => None,
    }
}

#[tokio::test]
pub(crate) async fn a_tombstone_stops_its_scope_and_only_it() {
    let fixture = Fixture::start().await;
    let fences = Fences::new(&fixture.broker);
    open(&fixture.broker, "first").await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let lease = fixture.fetch(&mut Worker::named("a"), 1).await[0]
        .lease
        .clone();
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    let ask = async || {
        permits
            .request(&lease, &subject(), &LWA_TOKEN)
            .await
            .unwrap()
    };
    let others = [
        StopScope::Application(ApplicationId::new(Uuid::from_u128(0xb))),
        StopScope::Tenant(tenant(2)),
        StopScope::Connection(connection(2)),
        // The same id in another scope is another thing.
        StopScope::Tenant(bulkhead_domain::TenantId::new(connection(1).uuid())),
    ];
    for other in others {
        fences.stop(other).await.unwrap();
    }
    assert!(matches!(ask().await, PermitAnswer::Granted(_)));
    let scopes = [
        (
            StopScope::Connection(connection(1)),
            Stop::Connection(connection(1)),
        ),
        (StopScope::Tenant(tenant(1)), Stop::Tenant(tenant(1))),
        (
            StopScope::Application(subject().application),
            Stop::Application(subject().application),
        ),
    ];
    // The widest scope that is stopped is the one that is named.
    for (scope, stop) in scopes {
        fences.stop(scope).await.unwrap();
        fences.stop(scope).await.unwrap();
        assert!(fences.is_stopped(scope).await.unwrap());
        assert_eq!(stop_of(&ask().await), Some(stop));
    }
    for (scope, _) in scopes {
        fences.release(scope, 0).await.unwrap();
        assert!(!fences.is_stopped(scope).await.unwrap());
    }
    assert!(matches!(ask().await, PermitAnswer::Granted(_)));
}

#[tokio::test]
pub(crate) async fn only_the_newest_unexpired_lease_is_permitted_to_call() {
    let fixture = Fixture::start().await;
    open(&fixture.broker, "first").await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
    let old = fixture.fetch(&mut Worker::named("a"), 1).await[0]
        .lease
        .clone();
    fixture.clock.advance(VISIBILITY);
    let answer = permits.request(&old, &subject(), &LWA_TOKEN).await.unwrap();
    assert_eq!(stop_of(&answer), Some(Stop::LeaseLost), "expired");
    fixture.broker.reap(0, 9).await.unwrap();
    let answer = permits.request(&old, &subject(), &LWA_TOKEN).await.unwrap();
    assert_eq!(stop_of(&answer), Some(Stop::LeaseLost), "reaped");
    let new = fixture.fetch(&mut Worker::named("b"), 1).await[0]
        .lease
        .clone();
    let answer = permits.request(&old, &subject(), &LWA_TOKEN).await.unwrap();
    assert_eq!(stop_of(&answer), Some(Stop::LeaseLost), "fenced");
    let answer = permits.request(&new, &subject(), &LWA_TOKEN).await.unwrap();
    assert!(matches!(answer, PermitAnswer::Granted(_)));
}

#[tokio::test]
pub(crate) async fn after_a_loss_permits_stop_until_a_nonce_is_established_and_tokens_keep_rising()
{
    let fixture = Fixture::with(|options| options.shards = 3).await;
    let fences = Fences::new(&fixture.broker);
    assert_eq!(fences.boot_nonce().await.unwrap(), None);
    fences.establish("first", None).await.unwrap();
    assert_eq!(fences.boot_nonce().await.unwrap().as_deref(), Some("first"));

    let mut last: Option<FencingToken> = None;
    let mut worker = Worker::named("a");
    let shard = fixture.broker.shard_of(connection(1));
    for nonce in ["second", "third"] {
        fixture.redis.flush().unwrap();
        assert_eq!(fences.boot_nonce().await.unwrap(), None);
        // The clock of a Redis that takes over may be behind.
        fixture.clock.rewind(std::time::Duration::from_secs(3_600));
        fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
        worker.sequence += 1;
        let request = bulkhead_broker::FetchRequest {
            worker: &worker.id,
            shard,
            sequence: worker.sequence,
            max: 1,
        };
        let before = fixture
            .broker
            .fetch(&request)
            .await
            .unwrap()
            .leased
            .remove(0);
        let permits = Permits::new(&fixture.broker, Margins::default(), 1.0);
        for operation in [&LWA_TOKEN, &GET_ORDER] {
            let answer = permits
                .request(&before.lease, &subject(), operation)
                .await
                .unwrap();
            assert_eq!(stop_of(&answer), Some(Stop::NoBootNonce));
        }
        fences
            .establish(nonce, last.or(Some(before.lease.token())))
            .await
            .unwrap();
        fences.establish(nonce, None).await.unwrap();
        grant(&fixture.broker).await;
        assert_eq!(fences.boot_nonce().await.unwrap().as_deref(), Some(nonce));
        fixture.broker.enqueue(&[job(2, 1, 1)]).await.unwrap();
        worker.sequence += 1;
        let request = bulkhead_broker::FetchRequest {
            sequence: worker.sequence,
            ..request
        };
        let after = fixture
            .broker
            .fetch(&request)
            .await
            .unwrap()
            .leased
            .remove(0);
        assert!(
            Some(after.lease.token()) > last,
            "above the floor that Postgres knows"
        );
        let answer = permits
            .request(&after.lease, &subject(), &LWA_TOKEN)
            .await
            .unwrap();
        assert!(matches!(answer, PermitAnswer::Granted(_)));
        last = Some(after.lease.token());
    }
}

#[tokio::test]
pub(crate) async fn a_shard_that_lost_its_nonce_is_noticed() {
    let fixture = Fixture::with(|options| options.shards = 2).await;
    let fences = Fences::new(&fixture.broker);
    fences.establish("first", None).await.unwrap();
    fixture.redis.command("DEL {token.1}:boot").unwrap();
    assert_eq!(fences.boot_nonce().await.unwrap(), None);
    fences.establish("first", None).await.unwrap();
    assert_eq!(fences.boot_nonce().await.unwrap().as_deref(), Some("first"));
}
