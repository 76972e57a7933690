use std::{num::NonZeroU32, time::Duration};

use url::Url;

use super::problem::Source;
use super::reader::Reader;

/// `[amazon]`
#[derive(Debug, Clone)]
pub struct Amazon {
    /// Where tokens are asked for.
    pub lwa_url: Url,
    /// `[amazon.endpoints]`
    pub endpoints: Endpoints,
    /// How much faster than Amazon the simulator runs; 1 with Amazon itself.
    pub time_scale: f64,
    /// How much a request's way to Amazon may vary; permits keep this margin.
    pub jitter: Duration,
    /// How long a whole request may take; longer ones are given up and made again later.
    pub request_timeout: Duration,
    /// How often one process asks Login with Amazon for a token, requests per second: no plan is published.
    pub lwa_rate_per_s: NonZeroU32,
    /// How often one process downloads from one document host, requests per second.
    pub document_rate_per_s: NonZeroU32,
    /// How every request names the application, as Amazon asks.
    pub user_agent: String,
}

/// The SP-API host of each region.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// North America.
    pub na: Url,
    /// Europe, India and the Middle East.
    pub eu: Url,
    /// Far East.
    pub fe: Url,
}

const USER_AGENT: &str = concat!("Bulkhead/", env!("CARGO_PKG_VERSION"), " (Language=Rust)");

impl Amazon {
    pub(super) fn read(reader: &mut Reader) -> Amazon {
        let amazon = Amazon {
            lwa_url: url(
                reader,
                "amazon.lwa_url",
                "https://api.amazon.com/auth/o2/token",
            ),
            endpoints: Endpoints {
                na: url(
                    reader,
                    "amazon.endpoints.na",
                    "https://sellingpartnerapi-na.amazon.com",
                ),
                eu: url(
                    reader,
                    "amazon.endpoints.eu",
                    "https://sellingpartnerapi-eu.amazon.com",
                ),
                fe: url(
                    reader,
                    "amazon.endpoints.fe",
                    "https://sellingpartnerapi-fe.amazon.com",
                ),
            },
            time_scale: reader.float("amazon.time_scale", 1.0, 0.001..=1_000_000.0),
            jitter: reader.milliseconds("amazon.jitter_ms", 50, 0..=10_000),
            request_timeout: reader.milliseconds(
                "amazon.request_timeout_ms",
                30_000,
                100..=600_000,
            ),
            lwa_rate_per_s: rate(reader, "amazon.lwa_rate_per_s"),
            document_rate_per_s: rate(reader, "amazon.document_rate_per_s"),
            user_agent: user_agent(reader),
        };
        amazon.refuse_scaled_time_at_amazon(reader);
        amazon
    }

    /// Plans multiplied by a time scale would be throttled by the real Amazon at once.
    fn refuse_scaled_time_at_amazon(&self, reader: &mut Reader) {
        let Endpoints { na, eu, fe } = &self.endpoints;
        let real = [&self.lwa_url, na, eu, fe]
            .into_iter()
            .find_map(|url| url.host_str().filter(is_amazon));
        if let Some(host) = real
            && self.time_scale > 1.0
        {
            let message = format!(
                "amazon.time_scale must be 1 while {host} is asked; \
                 set amazon.lwa_url and every amazon.endpoints.* to the simulator"
            );
            let source: Source = reader.source("amazon.time_scale");
            reader.problem(source, message);
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape `filter` wants
fn is_amazon(host: &&str) -> bool {
    host.ends_with(".amazon.com") || host.contains(".amazon.co.")
}

fn url(reader: &mut Reader, key: &'static str, default: &'static str) -> Url {
    reader
        .http_url(key)
        .unwrap_or_else(|| Url::parse(default).expect("the defaults are URLs"))
}

fn rate(reader: &mut Reader, key: &'static str) -> NonZeroU32 {
    NonZeroU32::new(reader.integer(key, 10, 1..=10_000)).unwrap_or(NonZeroU32::MIN)
}

fn user_agent(reader: &mut Reader) -> String {
    let given = reader
        .text("amazon.user_agent")
        .unwrap_or_else(|| USER_AGENT.to_owned());
    if given.len() > 500 || given.chars().any(|c| !(' '..='~').contains(&c)) {
        let source = reader.source("amazon.user_agent");
        reader.problem(
            source,
            "amazon.user_agent must be at most 500 printable ASCII characters",
        );
    }
    given
}
