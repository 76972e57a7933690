//! A slot moves to another node while its shard is worked on.

use std::{collections::BTreeSet, time::Duration};

use bulkhead_broker::{Acknowledgement, Enqueued, FetchRequest, Outcome, Presence};
use bulkhead_domain::{Job, WorkerId};

use super::{Clustered, tag, until_ok};
use crate::fixture::{connection, job, tenant};

/// Jobs of the shard, one lane each.
fn jobs_of(clustered: &Clustered, shard: u16, numbers: std::ops::Range<u128>) -> Vec<Job> {
    let is_its = |n: &u128| clustered.broker.shard_of(connection(*n)) == shard;
    let numbers = numbers.filter(is_its);
    numbers.map(|n| job(n, n % 4, n)).collect()
}

#[tokio::test]
async fn a_script_never_runs_on_half_of_a_shard() {
    let clustered =
        Clustered::with(|options| options.response_timeout = Duration::from_millis(300)).await;
    let broker = &clustered.broker;
    let shard = clustered.shard_on(0);
    let jobs = jobs_of(&clustered, shard, 0..200);
    broker.enqueue(&jobs).await.unwrap();
    broker.set_weight(tenant(1), 2.0).await.unwrap();
    let new = jobs_of(&clustered, shard, 200..210);

    let slot = clustered.cluster.open_slot(&tag(shard), 2).unwrap();
    let mut moved = 0;
    loop {
        let error = broker.enqueue(&new).await.unwrap_err();
        let absent = vec![Presence::Absent; new.len()];
        let ids: Vec<_> = new.iter().map(|job| job.id).collect();
        assert_eq!(broker.presence(&ids).await.unwrap(), absent, "{error:?}");
        // What is read without a script is found wherever it lies by now.
        let known: Vec<_> = jobs.iter().map(|job| job.id).collect();
        let exist = broker.exists(&known).await.unwrap();
        assert!(exist.iter().all(|exists| *exists));
        // Other shards go on.
        let elsewhere = clustered.shard_on(1);
        let other = jobs_of(&clustered, elsewhere, 300..307);
        broker.enqueue(&other).await.unwrap();
        match slot.move_keys(5).unwrap() {
            0 => break,
            more => moved += more,
        }
    }
    assert!(moved > 10, "{moved} keys moved");
    slot.finish().unwrap();
    assert_eq!(clustered.node_of(shard), 2);
    let added = broker.enqueue(&new).await.unwrap();
    assert_eq!(added, vec![Enqueued::Added; new.len()]);
    let stats = broker.stats().await.unwrap();
    assert_eq!(stats.total.queued as usize, jobs.len() + new.len() + 1);
}

#[tokio::test]
async fn a_slot_that_moves_in_mid_run_loses_nothing_and_runs_nothing_twice() {
    let clustered =
        Clustered::with(|options| options.response_timeout = Duration::from_millis(200)).await;
    let shard = clustered.shard_on(0);
    let jobs = jobs_of(&clustered, shard, 0..1_500);
    let enqueue = async {
        for batch in jobs.chunks(10) {
            until_ok(async || clustered.broker.enqueue(batch).await).await;
        }
    };
    let work = async {
        let worker = WorkerId::new("a".to_owned());
        let (mut ran, mut sequence) = (BTreeSet::new(), 0);
        while ran.len() < jobs.len() {
            sequence += 1;
            let request = FetchRequest {
                worker: &worker,
                shard,
                sequence,
                max: 7,
            };
            let fetched = until_ok(async || clustered.broker.fetch(&request).await).await;
            for one in &fetched.leased {
                assert!(ran.insert(one.job.id), "{} ran twice", one.job.id);
            }
            let acknowledgements: Vec<_> = fetched
                .leased
                .into_iter()
                .map(|one| Acknowledgement {
                    lease: one.lease,
                    outcome: Outcome::Complete,
                })
                .collect();
            until_ok(async || clustered.broker.acknowledge(shard, &acknowledgements).await).await;
            tokio::task::yield_now().await;
        }
    };
    let reshard = async {
        let ids: Vec<_> = jobs.iter().map(|job| job.id).take(20).collect();
        for to in [2, 1, 0] {
            let slot = clustered.cluster.open_slot(&tag(shard), to).unwrap();
            // Between two steps the others get on with what they can.
            while slot.move_keys(3).unwrap() > 0 {
                until_ok(async || clustered.broker.exists(&ids).await).await;
            }
            slot.finish().unwrap();
            for _ in 0..20 {
                until_ok(async || clustered.broker.exists(&ids).await).await;
            }
        }
    };
    tokio::join!(enqueue, work, reshard);
    assert_eq!(clustered.leftovers().await, Vec::<String>::new());
}
