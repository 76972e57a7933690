//! Where Amazon is and how it is spoken to; checked before anything is sent.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use bulkhead_domain::Region;
use url::{Host, Url};

/// Hosts, user agent, timeouts. The default is Amazon itself.
#[derive(Debug, Clone)]
pub struct AmazonOptions {
    /// Login with Amazon's token endpoint.
    pub lwa_url: String,
    /// The Selling Partner API in North America.
    pub na: String,
    /// The Selling Partner API in Europe.
    pub eu: String,
    /// The Selling Partner API in the Far East.
    pub fe: String,
    /// Up to 500 characters, as Amazon asks: `App/Version (Language=…; Platform=…)`.
    pub user_agent: String,
    /// Hosts beside this machine that may be spoken to without TLS; a simulator's, never Amazon's.
    pub plain_http_hosts: Vec<String>,
    /// Token requests per second and process.
    pub lwa_rate_per_s: NonZeroU32,
    /// Downloads per second, process and host.
    pub document_rate_per_s: NonZeroU32,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for a whole answer.
    pub request_timeout: Duration,
}

impl Default for AmazonOptions {
    fn default() -> Self {
        Self {
            lwa_url: "https://api.amazon.com/auth/o2/token".to_owned(),
            na: Region::Na.sp_api_endpoint().to_owned(),
            eu: Region::Eu.sp_api_endpoint().to_owned(),
            fe: Region::Fe.sp_api_endpoint().to_owned(),
            user_agent: Self::default_user_agent(),
            plain_http_hosts: Vec::new(),
            lwa_rate_per_s: NonZeroU32::new(10).unwrap_or(NonZeroU32::MIN),
            document_rate_per_s: NonZeroU32::new(10).unwrap_or(NonZeroU32::MIN),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
        }
    }
}

impl AmazonOptions {
    /// `Bulkhead/0.1.0 (Language=Rust/1.94; Platform=Linux)`.
    #[must_use]
    pub fn default_user_agent() -> String {
        let platform = match std::env::consts::OS {
            "linux" => "Linux",
            "macos" => "macOS",
            other => other,
        };
        format!(
            "Bulkhead/{} (Language=Rust/{}; Platform={platform})",
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_RUST_VERSION"),
        )
    }

    pub(crate) fn region_url(&self, region: Region) -> Result<Url, OptionsError> {
        match region {
            Region::Na => self.checked("na", &self.na),
            Region::Eu => self.checked("eu", &self.eu),
            Region::Fe => self.checked("fe", &self.fe),
        }
    }

    pub(crate) fn lwa_url(&self) -> Result<Url, OptionsError> {
        self.checked("lwa_url", &self.lwa_url)
    }

    /// A document's address: its query is what opens it.
    pub(crate) fn document_url(&self, text: &str) -> Result<Url, OptionsError> {
        self.safe("document", text)
    }

    fn checked(&self, option: &'static str, text: &str) -> Result<Url, OptionsError> {
        let url = self.safe(option, text)?;
        match (url.query(), url.fragment()) {
            (None, None) => Ok(url),
            _ => Err(OptionsError::NotAUrl { option }),
        }
    }

    fn safe(&self, option: &'static str, text: &str) -> Result<Url, OptionsError> {
        let not_a_url = || OptionsError::NotAUrl { option };
        let url = Url::parse(text).map_err(|_| not_a_url())?;
        let host = url.host().ok_or_else(not_a_url)?;
        let bare = url.username().is_empty() && url.password().is_none();
        match url.scheme() {
            _ if !bare => Err(not_a_url()),
            "https" => Ok(url),
            "http" if self.may_be_plain(&host) => Ok(url),
            "http" => Err(OptionsError::PlainHttp {
                option,
                host: host.to_string(),
            }),
            _ => Err(not_a_url()),
        }
    }

    fn may_be_plain(&self, host: &Host<&str>) -> bool {
        let loopback = match host {
            Host::Domain(name) => *name == "localhost",
            Host::Ipv4(ip) => IpAddr::V4(*ip).is_loopback(),
            Host::Ipv6(ip) => IpAddr::V6(*ip).is_loopback(),
        };
        loopback || self.plain_http_hosts.contains(&host.to_string())
    }
}

/// The options are refused, in one line.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Not an address that can be called.
    #[error(
        "amazon: `{option}` must be https://host/ or http://host/, without user, password, query or fragment"
    )]
    NotAUrl {
        /// Which option.
        option: &'static str,
    },
    /// Tokens would cross a network in clear.
    #[error(
        "amazon: `{option}` speaks http:// to {host}; only this machine and hosts that are allowed by name may be spoken to without TLS"
    )]
    PlainHttp {
        /// Which option.
        option: &'static str,
        /// The host.
        host: String,
    },
    /// Amazon rejects such user agents.
    #[error("amazon: `user_agent` must be 1 to 500 printable characters")]
    UserAgent,
    /// The process did not install a TLS provider before making clients.
    #[error("amazon: the process has no TLS provider; install rustls' ring provider first")]
    NoTlsProvider,
    /// The HTTP client cannot be made, usually because the system has no root certificates.
    #[error("amazon: the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lwa(url: &str) -> Result<Url, OptionsError> {
        AmazonOptions {
            lwa_url: url.to_owned(),
            plain_http_hosts: vec!["simulator".to_owned()],
            ..AmazonOptions::default()
        }
        .lwa_url()
    }

    #[test]
    fn only_this_machine_and_named_hosts_are_spoken_to_without_tls() {
        for url in [
            "https://api.amazon.com/auth/o2/token",
            "http://127.0.0.1:8080/auth/o2/token",
            "http://[::1]:8080/",
            "http://localhost/",
            "http://simulator:9000/auth/o2/token",
        ] {
            assert!(lwa(url).is_ok(), "{url}");
        }
        for url in [
            "http://api.amazon.com/",
            "http://10.0.0.1/",
            "http://localhost.example/",
        ] {
            assert!(
                matches!(lwa(url), Err(OptionsError::PlainHttp { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn an_address_with_credentials_or_more_is_refused() {
        for url in [
            "",
            "api.amazon.com",
            "ftp://a/",
            "https://u:p@a/",
            "https://a/?q=1",
            "https://a/#f",
        ] {
            assert!(
                matches!(lwa(url), Err(OptionsError::NotAUrl { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn the_user_agent_has_the_form_that_amazon_asks_for() {
        let agent = AmazonOptions::default_user_agent();
        assert!(agent.starts_with("Bulkhead/0."), "{agent}");
        assert!(agent.contains("(Language=Rust/1."), "{agent}");
        assert!(agent.contains("; Platform="), "{agent}");
    }
}
