//! Being told that something can be run, instead of asking again and again.

use std::{process, sync::Arc, time::Duration};

use futures_util::StreamExt;
use redis::{Client, RedisResult, aio::PubSub};
use tokio::{sync::watch, task::JoinHandle, time};

use crate::broker::Broker;

/// A subscription to the class's shards, on a connection of its own: it waits without a limit, so no response timeout
/// may end it. A message only says *look*; what is to be found stands in Redis.
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
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

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

    fn listen_to(&self, channel: &str) -> Wakes {
        let channels: Vec<String> = self.shards.iter().map(|shard| shard.key(channel)).collect();
        let (sender, counts) = watch::channel(vec![0; channels.len()]);
        let listener = tokio::spawn(listen(Arc::clone(&self.servers), channels, sender));
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

/// Counts messages, for ever. While there is no subscription workers look by time.
async fn listen(servers: Arc<[Client]>, channels: Vec<String>, counts: watch::Sender<Vec<u64>>) {
    for client in in_turn(&servers) {
        if let Ok(Ok(pubsub)) = time::timeout(CONNECT_TIMEOUT, subscribe(client, &channels)).await {
            // Whatever was said before the subscription was not heard.
            counts.send_modify(|counts| counts.iter_mut().for_each(|count| *count += 1));
            hear(pubsub, &channels, &counts).await;
        }
        time::sleep(RECONNECT_DELAY).await;
    }
}

/// For ever, from another one in each process: a node does not serve the whole fleet while others do nothing.
fn in_turn(servers: &[Client]) -> impl Iterator<Item = &Client> {
    let first = usize::try_from(process::id()).unwrap_or_default() % servers.len().max(1);
    servers.iter().cycle().skip(first)
}

async fn subscribe(client: &Client, channels: &[String]) -> RedisResult<PubSub> {
    let mut pubsub = client.get_async_pubsub().await?;
    pubsub.subscribe(channels).await?;
    Ok(pubsub)
}

/// Counts messages until the connection ends.
async fn hear(mut pubsub: PubSub, channels: &[String], counts: &watch::Sender<Vec<u64>>) {
    let mut messages = pubsub.on_message();
    while let Some(message) = messages.next().await {
        let name = message.get_channel_name();
        if let Some(shard) = channels.iter().position(|channel| channel == name) {
            counts.send_modify(|counts| counts[shard] += 1);
        }
    }
}
