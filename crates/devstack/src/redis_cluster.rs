use std::io;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use redis::{Client, FromRedisValue};

use crate::start_error::blocking;
use crate::{RedisOptions, RedisServer, RedisUser, StartError, readiness};

/// A private Redis Cluster on 127.0.0.1: three nodes that share the slots, no replicas, nothing persisted.
///
/// All of it ends with this value, and with this process.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

/// What a node serves at the start.
const SLOTS: [RangeInclusive<u16>; 3] = [0..=5_460, 5_461..=10_922, 10_923..=16_383];

/// How long a node may be silent until the others take it for dead, in milliseconds.
const NODE_TIMEOUT_MS: u32 = 1_000;

/// How often a node is started that ends at once.
const STARTS: usize = 4;

const READY_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a key may take to move from node to node, in milliseconds.
const MIGRATE_WITHIN_MS: u32 = 5_000;

impl RedisCluster {
    /// Starts three nodes, makes them one cluster, and waits until each says that it serves every slot: about three
    /// seconds, since a node that has just begun waits for two.
    ///
    /// # Errors
    /// [`StartError`]: the program is missing, or the nodes did not become a cluster.
    pub async fn start() -> Result<Self, StartError> {
        Self::start_with(Vec::new()).await
    }

    /// The same with logins, which are those of every node. If there are any, nobody gets in without one.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    pub async fn start_with(users: Vec<RedisUser>) -> Result<Self, StartError> {
        let cluster = blocking("redis cluster", move || {
            let nodes = SLOTS.iter().map(|_| start_node(&users));
            let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
            let cluster = Self { nodes };
            cluster
                .join()
                .map_err(StartError::prepare("a Redis cluster"))?;
            Ok(cluster)
        })
        .await?;
        cluster.until_ok().await?;
        Ok(cluster)
    }

    /// Its nodes, in the order of the slots that they served at the start.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    pub(crate) fn first(&mut self) -> &mut RedisServer {
        &mut self.nodes[0]
    }

    /// `redis://user:password@127.0.0.1:port` of the first node, for one of its logins.
    pub fn url_of(&self, user: &RedisUser) -> String {
        self.nodes[0].tcp_url_of(user).unwrap_or_default()
    }

    /// `redis://127.0.0.1:port` of the first node, of whoever may do everything.
    pub fn url(&self) -> String {
        url(&self.nodes[0])
    }

    /// `127.0.0.1:port` of every node.
    pub fn addresses(&self) -> Vec<String> {
        let ports = self.nodes.iter().filter_map(RedisServer::port);
        ports.map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// Which node serves this key now; blocks.
    ///
    /// # Errors
    /// No node answers, or none serves it.
    pub fn node_of(&self, key: &str) -> io::Result<usize> {
        let slot = self.slot_of(key)?;
        for (n, node) in self.nodes.iter().enumerate() {
            // "id address flags … slot slot-slot": of itself a node says all that it serves.
            let known: String = ask(node, &["CLUSTER", "NODES"])?;
            let own = known.lines().find(|line| line.contains("myself"));
            let served = own.into_iter().flat_map(|line| line.split(' ').skip(8));
            if served.filter_map(range).any(|range| range.contains(&slot)) {
                return Ok(n);
            }
        }
        Err(io::Error::other(format!("no node serves slot {slot}")))
    }

    /// Kills a node and starts it on the same addresses, as the same node of the cluster, with nothing in it. Returns
    /// when the cluster serves every slot again.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    pub async fn restart_empty(&mut self, node: usize) -> Result<(), StartError> {
        self.nodes[node].restart_empty().await?;
        self.until_ok().await
    }

    /// The same with every node at once.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    pub async fn restart_all_empty(&mut self) -> Result<(), StartError> {
        for node in &mut self.nodes {
            node.restart_empty().await?;
        }
        self.until_ok().await
    }

    /// SIGKILL to a node.
    pub fn kill(&self, node: usize) {
        self.nodes[node].kill();
    }

    /// Starts a killed node again, and returns when the cluster serves every slot.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    pub async fn restart(&mut self, node: usize) -> Result<(), StartError> {
        self.nodes[node].restart().await?;
        self.until_ok().await
    }

    /// Removes every key of every node; blocks until it is done.
    ///
    /// # Errors
    /// As [`RedisServer::flush`].
    pub fn flush(&self) -> io::Result<()> {
        self.nodes.iter().try_for_each(RedisServer::flush)
    }

    /// Begins to move the slot of `key` to another node: from now on it is open, and its keys may lie on either.
    ///
    /// # Errors
    /// A node refuses.
    pub fn open_slot(&self, key: &str, to: usize) -> io::Result<OpenSlot<'_>> {
        let (slot, from) = (self.slot_of(key)?, self.node_of(key)?);
        let (from, to) = (&self.nodes[from], &self.nodes[to]);
        let ids = (id(from)?, id(to)?);
        let open = |node, state: &str, other: &str| {
            ask::<()>(
                node,
                &["CLUSTER", "SETSLOT", &slot.to_string(), state, other],
            )
        };
        open(to, "IMPORTING", &ids.0)?;
        open(from, "MIGRATING", &ids.1)?;
        Ok(OpenSlot {
            cluster: self,
            slot,
            from,
            to,
        })
    }

    /// Waits until every node says that every slot is served.
    ///
    /// # Errors
    /// [`StartError::NotReady`].
    pub async fn until_ok(&self) -> Result<(), StartError> {
        let begun = Instant::now();
        loop {
            let nodes: Vec<String> = self.nodes.iter().map(url).collect();
            if blocking("redis cluster", move || Ok(is_ok(&nodes))).await? {
                return Ok(());
            }
            if begun.elapsed() > READY_WITHIN {
                return Err(self.nodes[0].process().not_ready(READY_WITHIN));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn slot_of(&self, key: &str) -> io::Result<u16> {
        ask(&self.nodes[0], &["CLUSTER", "KEYSLOT", key])
    }

    fn join(&self) -> io::Result<()> {
        for ((node, slots), epoch) in self.nodes.iter().zip(SLOTS).zip(1_u32..) {
            let (first, last) = (slots.start().to_string(), slots.end().to_string());
            ask::<()>(node, &["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
            ask::<()>(node, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch.to_string()])?;
        }
        for other in &self.nodes[1..] {
            let port = other.port().unwrap_or_default().to_string();
            let (_, bus): (String, String) = ask(other, &["CONFIG", "GET", "cluster-port"])?;
            ask::<()>(
                &self.nodes[0],
                &["CLUSTER", "MEET", "127.0.0.1", &port, &bus],
            )?;
        }
        Ok(())
    }
}

/// A slot on its way from one node to another.
#[derive(Debug)]
pub struct OpenSlot<'a> {
    cluster: &'a RedisCluster,
    slot: u16,
    from: &'a RedisServer,
    to: &'a RedisServer,
}

impl OpenSlot<'_> {
    /// Moves up to `count` keys; returns how many.
    ///
    /// # Errors
    /// A node refuses, as the new one does if it has a key of this name already.
    pub fn move_keys(&self, count: usize) -> io::Result<usize> {
        let (slot, count) = (self.slot.to_string(), count.to_string());
        let keys: Vec<Vec<u8>> = ask(self.from, &["CLUSTER", "GETKEYSINSLOT", &slot, &count])?;
        let (port, within) = (
            self.to.port().unwrap_or_default(),
            MIGRATE_WITHIN_MS.to_string(),
        );
        for key in &keys {
            let mut command = redis::cmd("MIGRATE");
            command
                .arg("127.0.0.1")
                .arg(port)
                .arg(&key[..])
                .arg(0)
                .arg(&within);
            if let Some(admin) = self.to.admin() {
                command.arg("AUTH2").arg(admin.name()).arg(admin.password());
            }
            let mut connection = connect(&url(self.from))?;
            command
                .query::<String>(&mut connection)
                .map_err(io::Error::other)?;
        }
        Ok(keys.len())
    }

    /// Moves what is left, and closes the slot: it is the new node's.
    ///
    /// # Errors
    /// As [`OpenSlot::move_keys`].
    pub fn finish(self) -> io::Result<()> {
        while self.move_keys(100)? > 0 {}
        let new = id(self.to)?;
        let others = self.cluster.nodes.iter().filter(|node| {
            let port = node.port();
            port != self.to.port() && port != self.from.port()
        });
        // The new owner first: the old one, without it, would send clients where they are sent back.
        for node in [self.to, self.from].into_iter().chain(others) {
            ask::<()>(
                node,
                &["CLUSTER", "SETSLOT", &self.slot.to_string(), "NODE", &new],
            )?;
        }
        Ok(())
    }
}

/// Somebody may take a port between its being found free and the node's listening there: then two others are tried.
fn start_node(users: &[RedisUser]) -> Result<RedisServer, StartError> {
    let mut started = start_node_once(users);
    for _ in 1..STARTS {
        if started.is_ok() {
            break;
        }
        started = start_node_once(users);
    }
    started
}

fn start_node_once(users: &[RedisUser]) -> Result<RedisServer, StartError> {
    let bus = readiness::free_port()?;
    RedisServer::start_blocking(RedisOptions {
        dir: None,
        tcp: true,
        config: vec![
            "cluster-enabled yes".into(),
            format!("cluster-port {bus}"),
            format!("cluster-node-timeout {NODE_TIMEOUT_MS}"),
        ],
        users: users.to_vec(),
    })
}

fn url(node: &RedisServer) -> String {
    node.tcp_url().unwrap_or_default()
}

fn id(node: &RedisServer) -> io::Result<String> {
    ask(node, &["CLUSTER", "MYID"])
}

/// Whether each node says that every slot is served, by nodes that answer.
fn is_ok(nodes: &[String]) -> bool {
    let wanted = [
        "cluster_state:ok".to_owned(),
        "cluster_slots_ok:16384".to_owned(),
        format!("cluster_known_nodes:{}", nodes.len()),
    ];
    nodes.iter().all(|url| {
        let said: io::Result<String> = ask_at(url, &["CLUSTER", "INFO"]);
        said.is_ok_and(|said| wanted.iter().all(|line| said.contains(line)))
    })
}

/// `5461-10922` or `7`; no slot that is on its way.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

fn ask<T: FromRedisValue>(node: &RedisServer, words: &[&str]) -> io::Result<T> {
    ask_at(&url(node), words)
}

fn ask_at<T: FromRedisValue>(url: &str, words: &[&str]) -> io::Result<T> {
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query(&mut connect(url)?).map_err(io::Error::other)
}

fn connect(url: &str) -> io::Result<redis::Connection> {
    let client = Client::open(url).map_err(io::Error::other)?;
    let connection = client
        .get_connection_with_timeout(ANSWER_WITHIN)
        .map_err(io::Error::other)?;
    connection
        .set_read_timeout(Some(ANSWER_WITHIN))
        .map_err(io::Error::other)?;
    Ok(connection)
}
