//! A server with the data of another: a replica that took over, and one that was started again. Both may have forgotten
//! the last moment, and neither is empty.

use std::time::Duration;

use bulkhead_broker::{
    Broker, BrokerOptions, Fences, FetchRequest, Lease, PermitAnswer, PermitSubject, Permits,
    Presence, Stop, StopScope,
};
use bulkhead_devstack::{FaultProxy, RedisOptions, RedisServer, Target};
use bulkhead_domain::{Class, FenceEpoch, Margins, operation::LWA_TOKEN};

use crate::fixture::{Fixture, MUTANT, Worker, connection, job, job_id};

/// A server, and a replica of it.
struct Pair {
    primary: RedisServer,
    replica: RedisServer,
    /// Between them.
    link: FaultProxy,
}

impl Pair {
    async fn start() -> Self {
        let options = RedisOptions {
            tcp: true,
            config: vec!["repl-diskless-sync-delay 0".to_owned()],
            ..RedisOptions::default()
        };
        let primary = RedisServer::start(options).await.unwrap();
        let address = ([127, 0, 0, 1], primary.port().unwrap()).into();
        let link = FaultProxy::start(Target::Tcp(address)).unwrap();
        let options = RedisOptions {
            config: vec![format!("replicaof 127.0.0.1 {}", link.addr().port())],
            ..RedisOptions::default()
        };
        let replica = RedisServer::start(options).await.unwrap();
        Self {
            primary,
            replica,
            link,
        }
    }

    /// Waits until the replica answers as the primary does.
    async fn until_both_say(&self, command: &str, answer: &str) {
        assert_eq!(self.primary.command(command).unwrap(), answer);
        let same = async {
            while self.replica.command(command).unwrap() != answer {
                tokio::task::yield_now().await;
            }
        };
        let within = Duration::from_secs(30);
        tokio::time::timeout(within, same).await.unwrap();
    }

    fn fail_over(&self) {
        self.primary.kill();
        let answer = self.replica.command("REPLICAOF NO ONE").unwrap();
        assert_eq!(answer, "+OK");
    }
}

async fn broker(redis: &RedisServer) -> Broker {
    let mut options = BrokerOptions::new(redis.url().into());
    options.shards = 1;
    options.mutant = MUTANT.get();
    Broker::connect(&options, Class::Sync).await.unwrap()
}

async fn ask(broker: &Broker, lease: &Lease) -> PermitAnswer {
    let subject = PermitSubject {
        application: job(1, 1, 1).application,
        tenant: job(1, 1, 1).tenant,
        connection: connection(1),
        epoch: FenceEpoch::NEVER_FENCED,
    };
    let permits = Permits::new(broker, Margins::default(), 1.0);
    permits.request(lease, &subject, &LWA_TOKEN).await.unwrap()
}

#[tokio::test]
pub(crate) async fn a_replica_that_took_over_has_no_nonce_and_permits_stop_until_it_has_one() {
    let pair = Pair::start().await;
    let before = broker(&pair.primary).await;
    let fences = Fences::new(&before);
    fences.establish("first", None).await.unwrap();
    before.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let request = FetchRequest {
        worker: &Worker::named("a").id,
        shard: 0,
        sequence: 1,
        max: 1,
    };
    let lease = before.fetch(&request).await.unwrap().leased.remove(0).lease;
    pair.until_both_say("ZCARD {sync.0}:leases", ":1").await;
    pair.link.stall();
    // What the replica never hears of.
    fences
        .stop(StopScope::Connection(connection(1)))
        .await
        .unwrap();
    before.enqueue(&[job(2, 1, 1)]).await.unwrap();
    assert_eq!(fences.boot_nonce().await.unwrap().as_deref(), Some("first"));
    pair.fail_over();

    let after = broker(&pair.replica).await;
    let fences = Fences::new(&after);
    assert_eq!(fences.boot_nonce().await.unwrap(), None, "it is noticed");
    let presence = after.presence(&[job_id(1), job_id(2)]).await.unwrap();
    assert_eq!(presence, [Presence::Alive, Presence::Absent], "older data");
    let clocks = fences.grant_clocks().await.unwrap();
    let lifetime = Duration::from_secs(60);
    fences.grant(&clocks, &[], lifetime).await.unwrap();
    let PermitAnswer::Stopped(Stop::NoGrant) = ask(&after, &lease).await else {
        panic!("somebody vouched for what the server before knew");
    };
    fences.withdraw().await.unwrap();
    let PermitAnswer::Stopped(Stop::NoBootNonce) = ask(&after, &lease).await else {
        panic!("a permit by a nonce of the server before");
    };
    let scope = StopScope::Connection(connection(1));
    fences.stop(scope).await.unwrap();
    fences.establish("second", None).await.unwrap();
    let nonce = fences.boot_nonce().await.unwrap();
    assert_eq!(nonce.as_deref(), Some("second"));
    fences.withdraw().await.unwrap();
    let PermitAnswer::Stopped(Stop::Connection(_)) = ask(&after, &lease).await else {
        panic!("what was stopped in the last moment is not stopped");
    };
}

#[tokio::test]
async fn a_server_that_was_started_again_with_its_data_has_no_nonce() {
    let mut fixture = Fixture::start().await;
    let fences = Fences::new(&fixture.broker);
    fences.establish("first", None).await.unwrap();
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    assert_eq!(fixture.redis.command("SAVE").unwrap(), "+OK");
    fixture.redis.restart().await.unwrap();
    let again = broker(&fixture.redis).await;
    let presence = again.presence(&[job_id(1)]).await.unwrap();
    assert_eq!(presence, [Presence::Alive]);
    let fences = Fences::new(&again);
    assert_eq!(fences.boot_nonce().await.unwrap(), None);
    // The same one, also: whoever says it has rebuilt what there is.
    fences.withdraw().await.unwrap();
    fences.establish("first", None).await.unwrap();
    assert_eq!(fences.boot_nonce().await.unwrap().as_deref(), Some("first"));
}
