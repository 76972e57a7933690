use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bulkhead_devstack::{FaultProxy, RedisOptions, RedisServer, Target};

const A_MOMENT: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(10);

struct Client(TcpStream);

impl Client {
    fn connect(proxy: &FaultProxy) -> Self {
        let stream = TcpStream::connect(proxy.addr()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self(stream)
    }

    fn ask(&mut self) -> io::Result<()> {
        self.0.write_all(b"PING\r\n")
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut answer = [0; 7];
        self.0.read_exact(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
    }

    fn ping(&mut self) -> io::Result<String> {
        self.ask()?;
        self.answer()
    }

    /// Whether nothing comes for a while.
    fn is_silent(&mut self) -> bool {
        self.0.set_read_timeout(Some(A_MOMENT)).unwrap();
        let silent = self
            .0
            .read(&mut [0])
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        self.0.set_read_timeout(Some(SOON)).unwrap();
        silent
    }

    /// Whether the connection was reset (and not ended in good order).
    fn is_reset(&mut self) -> bool {
        let broken = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        self.ping()
            .is_err_and(|error| broken.contains(&error.kind()))
    }
}

async fn redis_behind_proxy() -> (RedisServer, FaultProxy) {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let proxy = FaultProxy::start(Target::Unix(server.socket())).unwrap();
    (server, proxy)
}

#[tokio::test]
async fn bytes_pass_both_ways_and_to_tcp_targets_too() {
    let (_server, proxy) = redis_behind_proxy().await;
    let second = FaultProxy::start(Target::Tcp(proxy.addr())).unwrap();
    assert_eq!(Client::connect(&second).ping().unwrap(), "+PONG");
    let client = redis::Client::open(proxy.redis_url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let large = vec![7_u8; 3_000_000];
    let () = redis::cmd("SET")
        .arg("large")
        .arg(&large)
        .exec_async(&mut connection)
        .await
        .unwrap();
    let back: Vec<u8> = redis::cmd("GET")
        .arg("large")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!(back == large);
}

#[tokio::test]
async fn a_cut_resets_old_and_new_connections_until_restored() {
    let (_server, proxy) = redis_behind_proxy().await;
    let mut before = Client::connect(&proxy);
    before.ping().unwrap();
    proxy.cut();
    assert!(before.is_reset());
    let during = TcpStream::connect(proxy.addr()).map(Client);
    assert!(during.is_err() || during.is_ok_and(|mut client| client.is_reset()));
    proxy.restore();
    assert_eq!(Client::connect(&proxy).ping().unwrap(), "+PONG");
}

#[tokio::test]
async fn a_stall_holds_everything_back_and_loses_nothing() {
    let (_server, proxy) = redis_behind_proxy().await;
    let mut before = Client::connect(&proxy);
    before.ping().unwrap();
    proxy.stall();
    let mut during = Client::connect(&proxy);
    for client in [&mut before, &mut during] {
        client.ask().unwrap();
        assert!(client.is_silent());
    }
    proxy.restore();
    for mut client in [before, during] {
        assert_eq!(client.answer().unwrap(), "+PONG");
    }
}

#[tokio::test]
async fn stalled_answers_leave_the_request_done() {
    let (server, proxy) = redis_behind_proxy().await;
    let mut client = Client::connect(&proxy);
    client.ping().unwrap();
    proxy.stall_answers();
    client.0.write_all(b"SET key 1\r\n").unwrap();
    assert!(client.is_silent());
    assert_eq!(server.command("DBSIZE").unwrap(), ":1");
}

#[tokio::test]
async fn a_reset_breaks_the_connections_there_are_and_no_others() {
    let (_server, proxy) = redis_behind_proxy().await;
    let mut before = Client::connect(&proxy);
    before.ping().unwrap();
    proxy.reset();
    assert!(before.is_reset());
    assert_eq!(Client::connect(&proxy).ping().unwrap(), "+PONG");
}

#[tokio::test]
async fn a_delay_holds_in_each_direction() {
    let (_server, proxy) = redis_behind_proxy().await;
    let mut client = Client::connect(&proxy);
    client.ping().unwrap();
    proxy.delay(A_MOMENT, Duration::ZERO);
    let asked = Instant::now();
    client.ping().unwrap();
    assert!(asked.elapsed() >= 2 * A_MOMENT);
}

#[test]
fn a_target_that_is_not_there_resets_the_connection_and_may_come_later() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = FaultProxy::start(Target::Tcp(port)).unwrap();
    assert!(Client::connect(&proxy).is_reset());
    let server = TcpListener::bind(port).unwrap();
    let mut client = Client::connect(&proxy);
    server.accept().unwrap().0.write_all(b"+LATER\n").unwrap();
    assert_eq!(client.answer().unwrap(), "+LATER");
}

#[tokio::test]
async fn a_silence_is_for_ever_and_not_for_new_connections() {
    let (_server, proxy) = redis_behind_proxy().await;
    let mut before = Client::connect(&proxy);
    before.ping().unwrap();
    proxy.silence();
    before.ask().unwrap();
    assert!(before.is_silent());
    proxy.restore();
    assert!(before.is_silent());
    assert_eq!(Client::connect(&proxy).ping().unwrap(), "+PONG");
    drop(before);
    let deadline = Instant::now() + SOON;
    while proxy.connections() > 0 {
        assert!(Instant::now() < deadline, "closed connections are counted");
        std::thread::yield_now();
    }
}
