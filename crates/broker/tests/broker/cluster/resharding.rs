//! A slot moves to another node while its shard is worked on.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    time::Duration,
};

use bulkhead_broker::{Acknowledgement, Enqueued, FetchRequest, Outcome, Presence};
use bulkhead_domain::{Job, WorkerId};

use super::{Clustered, tag, until_ok};
use crate::fixture::{connection, job, job_id, tenant};

/// Jobs of the shard, one lane each.
fn jobs_of(clustered: &Clustered, shard: u16, numbers: std::ops::Range<u128>) -> Vec<Job> {
    let is_its = |n: &u128| clustered.broker.shard_of(connection(*n)) == shard;
    let numbers = numbers.filter(is_its);
    numbers.map(|n| job(n, n % 4, n)).collect()
}

#[tokio::test]
async fn a_script_never_runs_on_half_of_a_shard() {
    // Long enough for reads on a loaded machine; each refused script lasts as long.
    let clustered =
        Clustered::with(|options| options.response_timeout = Duration::from_secs(1)).await;
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
    let (broker, shard) = (&clustered.broker, clustered.shard_on(0));
    let lanes = jobs_of(&clustered, shard, 0..200);
    let (enqueued, ran) = (RefCell::new(BTreeSet::new()), RefCell::new(BTreeSet::new()));
    let (moved, all_enqueued) = (Cell::new(false), Cell::new(false));
    let enqueue = async {
        let mut numbers = 1_000..;
        while !moved.get() {
            let jobs: Vec<Job> = numbers
                .by_ref()
                .take(10)
                .collect::<Vec<_>>()
                .into_iter()
                .zip(lanes.iter().cycle().skip(enqueued.borrow().len()))
                .map(|(n, lane)| Job {
                    id: job_id(n),
                    ..lane.clone()
                })
                .collect();
            until_ok(async || broker.enqueue(&jobs).await).await;
            enqueued.borrow_mut().extend(jobs.iter().map(|job| job.id));
        }
        all_enqueued.set(true);
    };
    let work = async {
        let worker = WorkerId::new("a".to_owned());
        let mut sequence = 0;
        while !all_enqueued.get() || ran.borrow().len() < enqueued.borrow().len() {
            sequence += 1;
            let request = FetchRequest {
                worker: &worker,
                shard,
                sequence,
                max: 7,
            };
            let fetched = until_ok(async || broker.fetch(&request).await).await;
            for one in &fetched.leased {
                assert!(
                    ran.borrow_mut().insert(one.job.id),
                    "{} ran twice",
                    one.job.id
                );
            }
            let done = fetched.leased.into_iter().map(|one| Acknowledgement {
                lease: one.lease,
                outcome: Outcome::Complete,
            });
            let done: Vec<_> = done.collect();
            until_ok(async || broker.acknowledge(shard, &done).await).await;
        }
    };
    let reshard = async {
        let ids: Vec<_> = lanes.iter().map(|job| job.id).take(20).collect();
        for to in [2, 1, 0] {
            let enough = ran.borrow().len() + 50;
            while ran.borrow().len() < enough {
                until_ok(async || broker.exists(&ids).await).await;
            }
            let slot = clustered.cluster.open_slot(&tag(shard), to).unwrap();
            // Between two steps the others get on with what they can.
            while slot.move_keys(1).unwrap() > 0 {
                until_ok(async || broker.exists(&ids).await).await;
            }
            slot.finish().unwrap();
        }
        moved.set(true);
    };
    tokio::join!(enqueue, work, reshard);
    assert_eq!(ran, enqueued);
    assert_eq!(clustered.leftovers().await, Vec::<String>::new());
}
