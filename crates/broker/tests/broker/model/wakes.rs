//! Workers that wait are woken when there is something sooner than they know of.

use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSub};

use super::{
    settings::Settings,
    state::{Model, Place},
};

const CHANNEL: &str = "{sync.0}:wake";

/// What a worker that was told when to look again relies on.
pub(super) struct Horizon {
    /// Something could be had at once.
    is_ready: bool,
    /// Redis would have said so, be it that nothing comes of it.
    may_be_ready: bool,
    soonest_us: i64,
}

impl Horizon {
    pub(super) async fn of(
        model: &Model,
        settings: &Settings,
        redis: &MultiplexedConnection,
    ) -> Self {
        let delayed = model.jobs.values().filter_map(|job| match job.place {
            Place::Delayed { until_us } => Some(until_us),
            _ => None,
        });
        let soonest_us = delayed.chain(model.parked.values().copied()).min();
        let exists = redis::Cmd::exists("{sync.0}:tenants");
        let may_be_ready: bool = exists.query_async(&mut redis.clone()).await.unwrap();
        Self {
            is_ready: !settings.class_is_held && model.ready(settings) > 0,
            may_be_ready: may_be_ready && !settings.class_is_held,
            soonest_us: soonest_us.unwrap_or(i64::MAX),
        }
    }

    /// Whether who waits since then has to hear of it.
    pub(super) fn came_nearer_since(&self, before: &Self) -> bool {
        (self.is_ready && !before.may_be_ready) || self.soonest_us < before.soonest_us
    }
}

/// Listens to what wakes workers.
pub(super) async fn listen(client: &redis::Client) -> PubSub {
    let mut listener = client.get_async_pubsub().await.unwrap();
    listener.subscribe(CHANNEL).await.unwrap();
    listener
}

/// Whether anything was heard since the last time.
pub(super) async fn was_woken(listener: &mut PubSub, redis: &MultiplexedConnection) -> bool {
    let mark = redis::Cmd::publish(CHANNEL, "until here");
    let _: i64 = mark.query_async(&mut redis.clone()).await.unwrap();
    let (mut messages, mut heard) = (listener.on_message(), false);
    while messages.next().await.unwrap().get_payload_bytes() != b"until here" {
        heard = true;
    }
    heard
}
