use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{ChildProcess, RedisUser, StartError};

/// Between two attempts to connect; the wait ends at once when the server dies.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Blocks until `answers` says that the server serves.
pub(crate) fn wait_until_ready(
    server: &ChildProcess,
    within: Duration,
    answers: impl Fn() -> io::Result<bool>,
) -> Result<(), StartError> {
    let deadline = Instant::now() + within;
    loop {
        if answers().unwrap_or(false) {
            return Ok(());
        }
        if let Some(status) = server.wait_blocking(BETWEEN_ATTEMPTS) {
            return Err(server.ended(status));
        }
        if Instant::now() >= deadline {
            return Err(server.not_ready(within));
        }
    }
}

/// Sends an inline command to Redis, after logging in, and returns the first line of its answer.
pub(crate) fn redis_command(
    socket: &Path,
    login: Option<&RedisUser>,
    command: &str,
) -> io::Result<String> {
    let mut stream = connect(socket)?;
    if let Some(user) = login {
        let login = format!("AUTH {} {}", user.name(), user.password());
        let answer = ask_redis(&mut stream, &login)?;
        if answer != "+OK" {
            return Err(io::Error::other(answer));
        }
    }
    ask_redis(&mut stream, command)
}

fn ask_redis(stream: &mut UnixStream, command: &str) -> io::Result<String> {
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
}

/// Whether Postgres takes sessions: while it starts or recovers it refuses them.
pub(crate) fn postgres_accepts(socket: &Path) -> io::Result<bool> {
    const PROTOCOL_3_0: u32 = 196_608;
    const PARAMETERS: &[u8] = b"user\0postgres\0database\0postgres\0\0";
    let mut stream = connect(socket)?;
    let length = u32::try_from(8 + PARAMETERS.len()).map_err(io::Error::other)?;
    stream.write_all(
        &[
            &length.to_be_bytes()[..],
            &PROTOCOL_3_0.to_be_bytes(),
            PARAMETERS,
        ]
        .concat(),
    )?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    // 'R': authentication, 'E': error.
    Ok(kind == *b"R")
}

/// A TCP port of the loopback interface that was free a moment ago.
///
/// Of no ephemeral range: while its server is down and clients ask for it, the kernel could give such a port to one of
/// the clients.
pub(crate) fn free_port() -> Result<u16, StartError> {
    const PORTS: std::ops::Range<u16> = 10_000..30_000;
    const TRIES: u32 = 100;
    let mut last = io::ErrorKind::AddrInUse.into();
    for _ in 0..TRIES {
        let port = rand::random_range(PORTS);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(StartError::prepare("a free TCP port")(last))
}

fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    Ok(stream)
}
