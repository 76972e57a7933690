//! The fleet's configuration as this crate's options.

use bulkhead_service::Config;

use crate::options::AmazonOptions;

impl From<&Config> for AmazonOptions {
    /// Hosts and user agent from `[amazon]`, and which hosts may be spoken to without TLS.
    fn from(config: &Config) -> Self {
        let amazon = &config.amazon;
        Self {
            lwa_url: amazon.lwa_url.to_string(),
            na: amazon.endpoints.na.to_string(),
            eu: amazon.endpoints.eu.to_string(),
            fe: amazon.endpoints.fe.to_string(),
            user_agent: amazon.user_agent.clone(),
            request_timeout: config.amazon.request_timeout,
            lwa_rate_per_s: config.amazon.lwa_rate_per_s,
            document_rate_per_s: config.amazon.document_rate_per_s,
            plain_http_hosts: config.security.allow_plaintext_hosts.clone(),
            ..Self::default()
        }
    }
}
