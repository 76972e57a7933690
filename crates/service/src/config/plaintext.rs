//! Refuses connections that others on the network could read.
//!
//! Without TLS only this machine may be spoken to: loopback addresses, `localhost`, unix sockets,
//! and the hosts that `security.allow_plaintext_hosts` names.

use std::net::IpAddr;

use url::Url;

const REMEDY: &str = "or, on a private network, name the host in security.allow_plaintext_hosts";

/// Checks an `http` or `https` URL.
pub(super) fn http(text: &str, allowed: &[String]) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("must be a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host_str().is_some_and(|host| is_private(host, allowed)) => Ok(url),
        "http" => Err(refusal(url.host_str(), "use https://")),
        other => Err(format!("must begin with https://, not {other}://")),
    }
}

/// Checks a Redis URL.
pub(super) fn redis(text: &str, allowed: &[String]) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("must be a URL: {error}"))?;
    let private = url.host_str().is_some_and(|host| is_private(host, allowed));
    match url.scheme() {
        "redis+unix" | "unix" => Ok(()),
        "redis" if private => Ok(()),
        "redis" => Err(refusal(url.host_str(), "use rediss://")),
        "rediss" if url.fragment() == Some("insecure") && !private => Err(
            "must not end in #insecure: the server's certificate would not be checked".to_owned(),
        ),
        "rediss" => Ok(()),
        other => Err(format!(
            "must begin with rediss://, redis:// or redis+unix://, not {other}://"
        )),
    }
}

/// Checks a Postgres URL.
pub(super) fn postgres(text: &str, allowed: &[String]) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("must be a URL: {error}"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(format!(
            "must begin with postgres://, not {}://",
            url.scheme()
        ));
    }
    let parameter = |names: &[&str]| {
        url.query_pairs()
            .filter(|(name, _)| names.contains(&&**name))
            .map(|(_, value)| value.into_owned())
            .last()
    };
    // The last one named wins, as in the driver. With none the driver would ask PGHOST.
    let named = parameter(&["host", "hostaddr"]);
    let Some(host) = named.or_else(|| {
        url.host_str()
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
    }) else {
        return Err(
            "must name a host or a unix socket, as in postgres:///bulkhead?host=/run/postgresql"
                .to_owned(),
        );
    };
    let is_socket = host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f");
    let sslmode = parameter(&["sslmode", "ssl-mode"]);
    let encrypted = matches!(
        sslmode.as_deref(),
        Some("require" | "verify-ca" | "verify-full")
    );
    if is_socket || encrypted || is_private(&host, allowed) {
        return Ok(());
    }
    Err(refusal(Some(&host), "add ?sslmode=verify-full"))
}

fn is_private(host: &str, allowed: &[String]) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    loopback
        || bare.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|name| name.eq_ignore_ascii_case(bare))
}

fn refusal(host: Option<&str>, remedy: &str) -> String {
    format!(
        "would speak to {} without TLS: {remedy}, {REMEDY}",
        host.unwrap_or("a host")
    )
}
