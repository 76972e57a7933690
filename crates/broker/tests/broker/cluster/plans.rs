//! Plans and grants, over shards of all three nodes.

use std::{collections::BTreeMap, time::Duration};

use bulkhead_broker::{
    Fences, Lease, PermitAnswer, PermitSubject, Permits, PlanFilter, PlanSource, Stop,
};
use bulkhead_domain::{
    ApplicationId, FenceEpoch, Job, Margins, Operation, UsagePlan, WorkerId,
    operation::{GET_ORDER, GET_ORDERS_V0, SEARCH_ORDERS},
};

use super::{Clustered, SHARDS, until_ok};
use crate::fixture::{grant, job, open};

const HOUR: Duration = Duration::from_secs(3_600);

/// A cluster under its first nonce, and a lease on each shard.
struct Leased {
    clustered: Clustered,
    permits: Permits,
    leases: BTreeMap<u16, (Lease, PermitSubject)>,
}

impl Leased {
    async fn start() -> Self {
        let clustered = Clustered::with(|options| {
            options.visibility_timeout = Duration::from_secs(100_000);
            options.response_timeout = Duration::from_millis(500);
        })
        .await;
        open(&clustered.broker, "first").await;
        clustered.clock.advance(HOUR);
        let jobs: Vec<Job> = (0..40).map(|n| job(n, 1, n)).collect();
        clustered.broker.enqueue(&jobs).await.unwrap();
        let worker = WorkerId::new("a".to_owned());
        let fetched = clustered.fetch_everywhere(&worker, 1, 1).await;
        let leases = fetched.into_iter().map(|(shard, mut leased)| {
            let one = leased.remove(0);
            let subject = PermitSubject {
                application: one.job.application,
                tenant: one.job.tenant,
                connection: one.job.connection,
                epoch: FenceEpoch::NEVER_FENCED,
            };
            (shard, (one.lease, subject))
        });
        Self {
            permits: Permits::new(&clustered.broker, Margins::default(), 1.0),
            leases: leases.collect(),
            clustered,
        }
    }

    fn application(&self) -> ApplicationId {
        self.leases[&0].1.application
    }

    /// What each shard answers.
    async fn ask(&self, operation: &'static Operation) -> BTreeMap<u16, PermitAnswer> {
        let mut answers = BTreeMap::new();
        for (shard, (lease, subject)) in &self.leases {
            let request = async || self.permits.request(lease, subject, operation).await;
            answers.insert(*shard, until_ok(request).await);
        }
        answers
    }

    /// Pins each connection's searchOrders, and the application's getOrders.
    async fn pin(&self) {
        let broker = &self.clustered.broker;
        let plan = UsagePlan::new(0.1, 5);
        for (_, subject) in self.leases.values() {
            broker
                .pin_plan(
                    subject.application,
                    Some(subject.connection),
                    &SEARCH_ORDERS,
                    plan,
                )
                .await
                .unwrap();
        }
        broker
            .pin_plan(self.application(), None, &GET_ORDERS_V0, plan)
            .await
            .unwrap();
    }

    /// How many pins are as they were set, and how many are not.
    async fn pins(&self) -> (usize, usize) {
        let pinned = until_ok(async || self.clustered.broker.pinned_plans().await).await;
        let whole = pinned.values().filter(|plan| plan.is_some()).count();
        (whole, pinned.len() - whole)
    }

    fn shards_on(&self, node: usize) -> usize {
        let shards = (0..SHARDS).filter(|shard| self.clustered.node_of(*shard) == node);
        shards.count()
    }
}

#[tokio::test]
async fn plans_hold_on_every_node_and_the_other_nodes_keep_theirs_when_one_comes_back_empty() {
    let mut leased = Leased::start().await;
    leased.pin().await;
    for (lease, subject) in leased.leases.values() {
        leased
            .permits
            .observed(lease, subject, &GET_ORDER, 0.25)
            .await
            .unwrap();
    }
    let all = usize::from(SHARDS);
    assert_eq!(leased.pins().await, (all + 1, 0));
    for answer in leased.ask(&SEARCH_ORDERS).await.into_values() {
        assert!(matches!(answer, PermitAnswer::WaitUntil(_)), "{answer:?}");
    }
    leased.clustered.clock.advance(HOUR);
    for calls in 0..6 {
        for (shard, answer) in leased.ask(&SEARCH_ORDERS).await {
            let granted = matches!(answer, PermitAnswer::Granted(_));
            assert_eq!(granted, calls < 5, "{calls}: shard {shard}: {answer:?}");
        }
    }

    let lost = leased.shards_on(1);
    leased.clustered.cluster.restart_empty(1).await.unwrap();
    // The application's is not the same everywhere any more.
    assert_eq!(leased.pins().await, (all - lost, 1));
    let broker = &leased.clustered.broker;
    let plans = broker.plans(&PlanFilter::default()).await.unwrap();
    let learned = plans
        .iter()
        .filter(|plan| plan.source == PlanSource::Header);
    let learned: Vec<UsagePlan> = learned.map(|plan| plan.in_force).collect();
    assert_eq!(learned, vec![UsagePlan::new(0.25, 30); all - lost]);
    leased.pin().await;
    assert_eq!(leased.pins().await, (all + 1, 0));
    let reset = broker.reset_plan(leased.application(), None, &GET_ORDERS_V0);
    assert!(reset.await.unwrap());
    assert_eq!(leased.pins().await, (all, 0));
}

#[tokio::test]
async fn a_refusal_of_an_applications_limit_reaches_every_node() {
    let leased = Leased::start().await;
    let operation = Operation::find("catalog-items/2022-04-01/getCatalogItem").unwrap();
    for answer in leased.ask(operation).await.into_values() {
        assert!(matches!(answer, PermitAnswer::Granted(_)), "{answer:?}");
    }
    let half_a_minute = Duration::from_secs(30);
    let application = leased.application();
    let throttled =
        leased
            .permits
            .application_throttled(application, operation, Some(half_a_minute));
    throttled.await.unwrap();
    for (shard, answer) in leased.ask(operation).await {
        let PermitAnswer::WaitUntil(wait) = answer else {
            panic!("shard {shard}: {answer:?}");
        };
        assert!(
            wait.abs_diff(half_a_minute) < Duration::from_secs(1),
            "{wait:?}"
        );
    }
}

#[tokio::test]
async fn a_grant_ends_on_every_node_and_does_not_reach_one_that_has_lost_its_nonce() {
    let mut leased = Leased::start().await;
    let lifetime = Duration::from_secs(2);
    // Those of the start end with its nonce: the ones of this test are shorter.
    let fences = Fences::new(&leased.clustered.broker);
    fences.establish("second", None).await.unwrap();
    for (shard, answer) in leased.ask(&GET_ORDER).await {
        let stopped = matches!(answer, PermitAnswer::Stopped(Stop::NoGrant));
        assert!(stopped, "shard {shard}: {answer:?}");
    }
    let clocks = fences.grant_clocks().await.unwrap();
    leased.clustered.cluster.restart_empty(2).await.unwrap();
    until_ok(async || fences.grant(&clocks, &[], lifetime).await).await;
    for (shard, answer) in leased.ask(&GET_ORDER).await {
        let on_the_lost = leased.clustered.node_of(shard) == 2;
        let stopped = matches!(answer, PermitAnswer::Stopped(Stop::NoBootNonce));
        assert_eq!(stopped, on_the_lost, "shard {shard}: {answer:?}");
    }
    leased.clustered.clock.advance(lifetime);
    for (shard, answer) in leased.ask(&GET_ORDER).await {
        let on_the_lost = leased.clustered.node_of(shard) == 2;
        let ended = matches!(answer, PermitAnswer::Stopped(Stop::NoGrant));
        assert_eq!(ended, !on_the_lost, "shard {shard}: {answer:?}");
    }
    fences.establish("third", None).await.unwrap();
    grant(&leased.clustered.broker).await;
    for (shard, answer) in leased.ask(&GET_ORDER).await {
        // Its leases are lost with the node.
        let on_the_lost = leased.clustered.node_of(shard) == 2;
        let lost = matches!(answer, PermitAnswer::Stopped(Stop::LeaseLost));
        assert_eq!(lost, on_the_lost, "shard {shard}: {answer:?}");
    }
}
