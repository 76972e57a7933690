//! Being told that something can be run, instead of asking again and again.

use std::{process, sync::Arc, time::Duration};

use futures_util::StreamExt;
use redis::{Client, RedisResult, aio::PubSub};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{self, Instant},
};

use crate::{
    broker::Broker,
    connection::{no_answer, rebuilt},
};

/// A subscription to the class's shards, on a connection of its own: it waits without a limit, so no response timeout
/// may end it; one that has been quiet is asked whether it still lives, and made anew if it does not answer. A message
/// only says *look*; what is to be found stands in Redis.
///
/// Every node of a cluster hears what is published on any of them: one is listened to, and when that ends the next.
///
/// Clones share it; the last one ends it.
#[derive(Debug, Clone)]
pub struct Wakes {
    counts: watch::Receiver<Vec<u64>>,
    _listener: Arc<Listener>,
}

/// How often each shard has woken so far.
#[derive(Debug, Clone)]
pub struct WakeMark(Vec<u64>);

#[derive(Debug)]
struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const RECONNECT_DELAY: Duration = Duration::from_millis(100);

/// How long a subscription may be quiet before it is asked for a sign of life.
const QUIET: Duration = Duration::from_secs(2);

impl Broker {
    /// Subscribes. Call it once per process, within a Tokio runtime, before the first fetch.
    #[must_use]
    pub fn wakes(&self) -> Wakes {
        self.listen_to("wake")
    }

    /// Subscribes to cancellations of jobs in flight: a reason to renew leases now, since renewing says which. Call it
    /// within a Tokio runtime.
    #[must_use]
    pub fn cancellations(&self) -> Wakes {
        self.listen_to("told")
    }

    fn listen_to(&self, channel: &'static str) -> Wakes {
        let channels: Vec<String> = self.shards.iter().map(|shard| shard.key(channel)).collect();
        let (sender, counts) = watch::channel(vec![0; channels.len()]);
        let subscription = Subscription {
            servers: Arc::clone(&self.servers),
            name: channel,
            channels,
            patience: self.options.response_timeout,
            counts: sender,
        };
        let listener = tokio::spawn(subscription.listen());
        Wakes {
            counts,
            _listener: Arc::new(Listener(listener)),
        }
    }
}

impl Wakes {
    /// Where the shards stand now. Take it *before* a fetch and wait with it after: what came in between is not
    /// missed.
    #[must_use]
    pub fn mark(&self) -> WakeMark {
        WakeMark(self.counts.borrow().clone())
    }

    /// Waits until a shard has woken since `mark`, or `up_to` has passed. Returns the shards that woke; all of them
    /// after a lost subscription was taken up again.
    pub async fn wait(&self, mark: &WakeMark, up_to: Duration) -> Vec<u16> {
        let mut counts = self.counts.clone();
        let changed = counts.wait_for(|counts| *counts != mark.0);
        let Ok(Ok(counts)) = time::timeout(up_to, changed).await else {
            return Vec::new();
        };
        (0_u16..)
            .zip(counts.iter().zip(&mark.0))
            .filter_map(|(shard, (now, then))| (now != then).then_some(shard))
            .collect()
    }
}

/// What the listener does.
struct Subscription {
    /// Where it may listen.
    servers: Arc<[Client]>,
    name: &'static str,
    channels: Vec<String>,
    /// How long subscribing, or a sign of life, may take.
    patience: Duration,
    counts: watch::Sender<Vec<u64>>,
}

impl Subscription {
    /// Counts messages, for ever. While there is no subscription workers look by time.
    async fn listen(self) {
        for client in in_turn(&self.servers) {
            if let Ok(Ok(pubsub)) = time::timeout(self.patience, self.subscribe(client)).await {
                // Whatever was said before the subscription was not heard.
                self.counts
                    .send_modify(|counts| counts.iter_mut().for_each(|count| *count += 1));
                self.hear(pubsub).await;
            }
            time::sleep(RECONNECT_DELAY).await;
        }
    }

    async fn subscribe(&self, client: &Client) -> RedisResult<PubSub> {
        let mut pubsub = client.get_async_pubsub().await?;
        pubsub.subscribe(&self.channels).await?;
        Ok(pubsub)
    }

    /// Counts messages until the connection ends or gives no sign of life.
    async fn hear(&self, pubsub: PubSub) {
        let (mut sink, mut messages) = pubsub.split();
        let mut heard_at = Instant::now();
        loop {
            match time::timeout(QUIET, messages.next()).await {
                Ok(Some(message)) => self.count(message.get_channel_name()),
                Ok(None) => return,
                Err(_quiet) => match time::timeout(self.patience, sink.ping::<()>()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_closed)) => return,
                    Err(_silent) => {
                        return rebuilt(self.name, heard_at.elapsed(), &no_answer());
                    }
                },
            }
            heard_at = Instant::now();
        }
    }

    fn count(&self, channel: &str) {
        if let Some(shard) = self.channels.iter().position(|known| known == channel) {
            self.counts.send_modify(|counts| counts[shard] += 1);
        }
    }
}

/// For ever, from another one in each process: a node does not serve the whole fleet while others do nothing.
fn in_turn(servers: &[Client]) -> impl Iterator<Item = &Client> {
    let first = usize::try_from(process::id()).unwrap_or_default() % servers.len().max(1);
    servers.iter().cycle().skip(first)
}
