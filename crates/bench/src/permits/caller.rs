//! One connection's calls of one operation, as one worker process makes them.

use std::{
    num::NonZeroU32,
    sync::{Arc, PoisonError},
    time::Duration,
};

use bulkhead_broker::{Lease, Permit, PermitAnswer, PermitSubject, Permits, Stop};
use bulkhead_domain::FenceEpoch;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    demand::Demand,
    protocol::{Counts, Lane, Pacing},
    shape::{SHAPES, Shape},
    worker::Shared,
};
use crate::jobs;

/// A slot this near is reserved: the broker's horizon.
const HORIZON: Duration = Duration::from_millis(250);

/// After this long another attempt is made when Redis did not answer, or nothing may be called yet.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Caller {
    shared: Arc<Shared>,
    lane: Lane,
    shape: &'static Shape,
    subject: PermitSubject,
    permits: Permits,
    limiter: Option<DefaultDirectRateLimiter>,
}

impl Caller {
    pub(crate) fn new(shared: &Arc<Shared>, lane: usize, shape: usize) -> Self {
        let (lane, shape) = (shared.spec.lanes[lane].clone(), &SHAPES[shape]);
        let per_process = shared.spec.pacing == Pacing::PerProcess;
        Self {
            subject: PermitSubject {
                application: jobs::application(lane.application),
                tenant: jobs::tenant(u128::from(lane.number) / jobs::LANES_PER_TENANT),
                connection: lane.connection(),
                epoch: FenceEpoch::NEVER_FENCED,
            },
            permits: shared.permits[&(shape.scale.to_bits(), lane.jitter_ms)].clone(),
            limiter: per_process.then(|| limiter(shape)),
            shared: Arc::clone(shared),
            lane,
            shape,
        }
    }

    /// Makes its share of the calls, one after the other.
    pub(crate) async fn run(self, at_us: i64, demand: Demand, window_s: f64) {
        let start = moment(at_us, Duration::from_secs_f64(self.lane.starts_s));
        let times = demand.times(self.shape.plan(), self.lane.number, window_s);
        let share: Vec<_> = match demand {
            // Whoever of the callers is there makes all of them.
            Demand::Steady => times,
            _ => times
                .into_iter()
                .skip(self.lane.share)
                .step_by(self.lane.callers)
                .collect(),
        };
        for waits_from in share {
            let calls = async {
                tokio::time::sleep_until(start + Duration::from_secs_f64(waits_from)).await;
                self.call().await;
            };
            tokio::select! {
                () = calls => {}
                () = self.shared.stop.cancelled() => return,
            }
        }
    }

    /// Makes one call, whatever it takes.
    async fn call(&self) {
        match &self.limiter {
            Some(limiter) => self.call_and_retry(limiter).await,
            None => self.call_with_permit().await,
        }
    }

    async fn call_with_permit(&self) {
        loop {
            let (slot, permit) = self.permit().await;
            if permit.spend().is_err() {
                self.count(|counts| counts.expired += 1);
                continue;
            }
            let answer = self.send(slot).await;
            self.learn(answer).await;
            if answer.is_none_or(|answer| answer.status != 429) {
                return;
            }
        }
    }

    /// Tells the broker what Amazon said of the plan.
    async fn learn(&self, answer: Option<Answered>) {
        let (Some(answer), Some(lease)) = (answer, self.lease()) else {
            return;
        };
        let (permits, subject, operation) = (&self.permits, &self.subject, self.shape.operation());
        let told = match answer {
            Answered { status: 429, .. } => {
                permits.throttled(&lease, subject, operation, None).await
            }
            Answered {
                rate_per_s: Some(rate_per_s),
                ..
            } => {
                permits
                    .observed(&lease, subject, operation, rate_per_s)
                    .await
            }
            Answered { .. } => return,
        };
        self.count(|counts| counts.failed += u64::from(told.is_err()));
    }

    /// What users of other libraries run: a limiter for each process, and after a 429 another try when a call should
    /// be free again.
    async fn call_and_retry(&self, limiter: &DefaultDirectRateLimiter) {
        loop {
            limiter.until_ready().await;
            let answer = self.send(Instant::now()).await;
            if answer.is_none_or(|answer| answer.status != 429) {
                return;
            }
            let interval_s = 1.0 / self.shape.plan().rate_per_s;
            tokio::time::sleep(Duration::from_secs_f64(
                interval_s * (0.5 + rand::random::<f64>()),
            ))
            .await;
        }
    }

    /// Asks until a permit is granted; with the moment of its slot.
    async fn permit(&self) -> (Instant, Permit) {
        loop {
            let gate = self.shared.asking.read().await;
            let Some(lease) = self.lease() else {
                drop(gate);
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let asked = Instant::now();
            let operation = self.shape.operation();
            let answer = self.permits.request(&lease, &self.subject, operation).await;
            drop(gate);
            self.count(|counts| counts.asked += 1);
            let wait = match answer {
                Ok(PermitAnswer::Granted(permit)) => {
                    self.count(|counts| counts.granted += 1);
                    return (asked + permit.waited(), permit);
                }
                // From the horizon on it can be reserved.
                Ok(PermitAnswer::WaitUntil(wait)) => {
                    wait.saturating_sub(HORIZON).max(Duration::from_millis(1))
                }
                Ok(PermitAnswer::Stopped(stop)) => {
                    self.count(|counts| counts.stopped += 1);
                    if stop == Stop::LeaseLost {
                        self.forget(&lease);
                    }
                    PAUSE
                }
                Err(_) => {
                    self.count(|counts| counts.failed += 1);
                    PAUSE
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends the call after the network's delay; what it was answered, if it was.
    async fn send(&self, slot: Instant) -> Option<Answered> {
        let jitter = Duration::from_millis(self.lane.jitter_ms).mul_f64(rand::random());
        tokio::time::sleep(jitter).await;
        let spec = &self.shared.spec;
        let path = self.shape.path(&self.lane.seller, &self.lane.marketplace);
        let request = self.shared.http.get(format!("{}{path}", spec.base_url));
        let request = request.header("x-amz-access-token", &self.lane.access_token);
        let answer = request.send().await;
        let late = Instant::now().saturating_duration_since(slot + jitter);
        let answer = answer.ok().as_ref().map(Answered::read);
        self.count(|counts| {
            counts.requests += 1;
            counts.throttled += u64::from(answer.is_some_and(|answer| answer.status == 429));
            counts.failed += u64::from(answer.is_none());
            counts.late_ms.push(1e3 * late.as_secs_f64());
        });
        answer
    }

    fn lease(&self) -> Option<Lease> {
        let leases = self
            .shared
            .leases
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        leases.get(&self.subject.connection).cloned()
    }

    fn forget(&self, lost: &Lease) {
        let mut leases = self
            .shared
            .leases
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if leases
            .get(&self.subject.connection)
            .is_some_and(|lease| lease.token() == lost.token())
        {
            leases.remove(&self.subject.connection);
        }
    }

    fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self
            .shared
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner));
    }
}

/// What Amazon says of its plan.
#[derive(Debug, Clone, Copy)]
struct Answered {
    status: u16,
    rate_per_s: Option<f64>,
}

impl Answered {
    fn read(answer: &reqwest::Response) -> Self {
        let rate = answer.headers().get("x-amzn-RateLimit-Limit");
        Self {
            status: answer.status().as_u16(),
            rate_per_s: rate.and_then(|rate| rate.to_str().ok()?.parse().ok()),
        }
    }
}

fn limiter(shape: &Shape) -> DefaultDirectRateLimiter {
    let plan = shape.plan();
    let burst = NonZeroU32::new(plan.burst).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(Duration::from_secs_f64(1.0 / plan.rate_per_s));
    RateLimiter::direct(quota.unwrap_or(Quota::per_second(burst)).allow_burst(burst))
}

/// This process's moment of `later` than a unix time; now, if that has passed.
fn moment(unix_us: i64, later: Duration) -> Instant {
    let passed_us = Timestamp::now().as_microsecond() - unix_us;
    let ahead_us =
        i128::from(passed_us.saturating_neg()).saturating_add_unsigned(later.as_micros());
    Instant::now() + Duration::from_micros(u64::try_from(ahead_us).unwrap_or(0))
}
