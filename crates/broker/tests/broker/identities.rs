//! What each class may do in Redis: the files under `deploy/identities`, loaded into a server.

use std::{fs, path::Path, time::Duration};

use bulkhead_broker::{
    Acknowledgement, Broker, BrokerOptions, Fences, FetchRequest, InspectError, Outcome,
};
use bulkhead_devstack::{RedisCluster, RedisServer};
use bulkhead_domain::{Class, JobKind};
use redis::{ErrorKind, aio::MultiplexedConnection};

use crate::{
    cluster,
    fixture::{Fixture, Worker, job},
};

/// The login that a file describes, with a password.
fn load(fixture: &Fixture, identity: &str) -> String {
    let name = load_into(&fixture.redis, identity);
    format!("{}?user={name}&pass=secret", fixture.redis.url())
}

/// The login's name.
fn load_into(redis: &RedisServer, identity: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/identities")
        .join(identity)
        .join("redis.acl");
    let text = fs::read_to_string(path).unwrap();
    let rules = text.trim().strip_prefix("user ").unwrap();
    let answer = redis
        .command(&format!("ACL SETUSER {rules} >secret"))
        .unwrap();
    assert_eq!(answer, "+OK", "{identity}");
    let name = rules.split(' ').next().unwrap();
    assert_eq!(name, format!("bulkhead-{identity}"));
    name.to_owned()
}

async fn broker(url: &str, class: Class) -> Broker {
    let mut options = BrokerOptions::new(url.to_owned().into());
    options.shards = 1;
    Broker::connect(&options, class).await.unwrap()
}

async fn bare(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn refused(connection: &mut MultiplexedConnection, command: &redis::Cmd) {
    let error = command
        .query_async::<redis::Value>(connection)
        .await
        .unwrap_err();
    let error = error.to_string();
    let by_acl = ["permissions", "can't access", "can't run"]
        .iter()
        .any(|words| error.contains(words));
    assert!(by_acl, "{error}");
}

#[tokio::test]
async fn a_class_can_do_all_its_work_under_its_own_identity_and_nothing_in_another_class() {
    let fixture = Fixture::start().await;
    for (identity, class, kind) in [
        ("sync", Class::Sync, JobKind::Sync),
        ("token", Class::Token, JobKind::TokenRefresh),
    ] {
        let broker = broker(&load(&fixture, identity), class).await;
        let mut one = job(1, 1, 1);
        one.kind = kind;
        broker.enqueue(&[one]).await.unwrap();
        let worker = Worker::named("a");
        let request = FetchRequest {
            worker: &worker.id,
            shard: 0,
            sequence: 1,
            max: 9,
        };
        let leased = broker.fetch(&request).await.unwrap().leased;
        broker.renew(0, &[leased[0].lease.clone()]).await.unwrap();
        broker.reap(0, 9).await.unwrap();
        let acknowledgement = Acknowledgement {
            lease: leased[0].lease.clone(),
            outcome: Outcome::Complete,
        };
        broker.acknowledge(0, &[acknowledgement]).await.unwrap();
        let wakes = broker.wakes();
        wakes.wait(&wakes.mark(), Duration::from_secs(60)).await;
        let other = broker.for_class(Class::Purge);
        other.fetch(&request).await.unwrap_err();
        other.stats().await.unwrap_err();
    }
}

#[tokio::test]
async fn the_purge_worker_cannot_touch_syncs_keys_not_even_from_inside_a_script() {
    let fixture = Fixture::start().await;
    fixture.broker.enqueue(&[job(1, 1, 1)]).await.unwrap();
    let url = load(&fixture, "purge");
    broker(&url, Class::Purge).await.stats().await.unwrap();
    let mut purge = bare(&url).await;
    for command in [
        redis::cmd("HLEN").arg("{sync.0}:jobs"),
        redis::cmd("DEL").arg("{sync.0}:jobs"),
        redis::cmd("SUBSCRIBE").arg("{sync.0}:wake"),
        redis::cmd("PUBLISH").arg("{sync.0}:wake").arg(""),
        redis::cmd("EVAL")
            .arg("return redis.call('HLEN', KEYS[1])")
            .arg(1)
            .arg("{sync.0}:jobs"),
        // Undeclared, as a script that builds the names of its keys has them.
        redis::cmd("EVAL")
            .arg("return redis.call('DEL', '{sync.0}:jobs')")
            .arg(1)
            .arg("{purge.0}"),
        // The names of keys are ids of tenants and connections.
        redis::cmd("EVAL")
            .arg("return redis.call('SCAN', 0)")
            .arg(0),
    ] {
        refused(&mut purge, command).await;
    }
    assert_eq!(fixture.broker.stats().await.unwrap().total.queued, 1);
}

#[tokio::test]
async fn no_identity_may_run_the_server_or_list_its_keys() {
    let fixture = Fixture::start().await;
    for identity in [
        "sync",
        "token",
        "purge",
        "containment",
        "scheduler",
        "operator",
    ] {
        let mut connection = bare(&load(&fixture, identity)).await;
        for command in [
            "FLUSHALL",
            "FLUSHDB",
            "SHUTDOWN",
            "KEYS *",
            "SCAN 0",
            "RANDOMKEY",
            "CLIENT TRACKING ON BCAST",
            "CONFIG GET *",
            "ACL LIST",
            "CLIENT LIST",
        ] {
            let mut words = command.split(' ');
            let mut command = redis::cmd(words.next().unwrap());
            words.for_each(|word| {
                command.arg(word);
            });
            refused(&mut connection, &command).await;
        }
    }
}

#[tokio::test]
async fn every_identity_may_follow_a_cluster_and_none_may_change_it() {
    let fixture = Fixture::start().await;
    for identity in [
        "sync",
        "token",
        "purge",
        "containment",
        "scheduler",
        "operator",
    ] {
        let mut connection = bare(&load(&fixture, identity)).await;
        for (command, argument) in [
            ("CLUSTER", "SLOTS"),
            ("CLUSTER", "SHARDS"),
            ("CLUSTER", "NODES"),
            ("CLUSTER", "INFO"),
            ("ASKING", ""),
            ("READONLY", ""),
        ] {
            let mut command = redis::cmd(command);
            if !argument.is_empty() {
                command.arg(argument);
            }
            let answer = command.query_async::<redis::Value>(&mut connection).await;
            let error = answer.expect_err("no cluster").to_string();
            assert!(
                error.contains("cluster support disabled"),
                "{identity}: {error}"
            );
        }
        for argument in ["RESET", "FAILOVER", "FLUSHSLOTS"] {
            refused(&mut connection, redis::cmd("CLUSTER").arg(argument)).await;
        }
    }
}

#[tokio::test]
async fn who_serves_every_class_reaches_every_class() {
    let fixture = Fixture::start().await;
    for identity in ["scheduler", "operator", "containment"] {
        let broker = broker(&load(&fixture, identity), Class::Sync).await;
        for class in Class::ALL {
            broker.for_class(class).stats().await.unwrap();
        }
        Fences::new(&broker).boot_nonce().await.unwrap();
    }
}

#[tokio::test]
async fn a_login_that_is_refused_for_a_while_is_tried_again() {
    let fixture = Fixture::start().await;
    let broker = broker(&load(&fixture, "sync"), Class::Sync).await;
    for (command, answer) in [
        ("ACL SETUSER bulkhead-sync off", "+OK"),
        ("CLIENT KILL USER bulkhead-sync", ":1"),
    ] {
        assert_eq!(fixture.redis.command(command).unwrap(), answer);
    }
    let refused = until(async || {
        let InspectError::Redis(why) = broker.stats().await.err()?;
        (why.kind() == ErrorKind::AuthenticationFailed).then_some(())
    });
    refused.await;
    let answer = fixture.redis.command("ACL SETUSER bulkhead-sync on");
    assert_eq!(answer.unwrap(), "+OK");
    until(async || broker.stats().await.ok()).await;
}

/// Asks again until there is something; a reconnection waits between its tries.
async fn until<T>(something: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(thing) = something().await {
                return thing;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), asking).await;
    waited.expect("within 30 s")
}

#[tokio::test]
async fn a_class_can_do_its_work_under_its_own_identity_on_every_node_of_a_cluster() {
    let cluster = RedisCluster::start().await.unwrap();
    for node in cluster.nodes() {
        assert_eq!(load_into(node, "sync"), "bulkhead-sync");
        assert_eq!(node.command("ACL SETUSER default off").unwrap(), "+OK");
    }
    let mut options = cluster::options(&cluster);
    let address = &cluster.addresses()[0];
    options.url = format!("redis://bulkhead-sync:secret@{address}").into();
    let broker = Broker::connect(&options, Class::Sync).await.unwrap();
    let wakes = broker.wakes();
    wakes.wait(&wakes.mark(), Duration::from_secs(60)).await;
    let jobs: Vec<_> = (0..40).map(|n| job(n, 1, n)).collect();
    broker.enqueue(&jobs).await.unwrap();
    assert_eq!(broker.stats().await.unwrap().total.queued, 40);
    let other = broker.for_class(Class::Purge);
    other.stats().await.unwrap_err();
}
