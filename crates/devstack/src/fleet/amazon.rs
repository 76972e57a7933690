//! The simulated Amazon, as a process, and what it says of itself: the judge of the demo and of the tests.

use std::{collections::BTreeMap, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{FleetOptions, member::program};
use crate::{ChildOptions, ChildProcess};

/// How long the simulator may take to make its data.
const READY: Duration = Duration::from_secs(60);

/// The line that the simulator prints when it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// Login with Amazon's token endpoint.
    pub lwa_url: String,
    /// SP-API by region.
    pub endpoints: Endpoints,
    /// Registered applications.
    pub applications: Vec<Application>,
    /// Every seller.
    pub sellers: Vec<Seller>,
    /// The control endpoints.
    pub control_url: String,
}

/// SP-API by region.
#[derive(Debug, Clone, Deserialize)]
pub struct Endpoints {
    /// North America.
    pub na: String,
    /// Europe.
    pub eu: String,
    /// Far East.
    pub fe: String,
}

/// One registered application.
#[derive(Debug, Clone, Deserialize)]
pub struct Application {
    /// LWA's name of it.
    pub client_id: String,
    /// Its secret, which a demonstration may hold in clear.
    pub client_secret: String,
}

/// One seller who has authorized the first application.
#[derive(Debug, Clone, Deserialize)]
pub struct Seller {
    /// Amazon's name of the seller.
    pub seller_id: String,
    /// `na`, `eu` or `fe`.
    pub region: String,
    /// Where the seller sells.
    pub marketplace_ids: Vec<String>,
    /// The authorization.
    pub refresh_token: String,
}

/// What the simulator has counted.
#[derive(Debug, Clone, Deserialize)]
pub struct AmazonCounts {
    /// Requests to Amazon's own paths.
    pub requests: u64,
    /// Of them answered with 429.
    pub throttled: u64,
    /// Access tokens made from refresh tokens.
    pub token_refreshes: TokenRefreshes,
}

/// Access tokens made from refresh tokens.
#[derive(Debug, Clone, Deserialize)]
pub struct TokenRefreshes {
    /// Of all sellers.
    pub total: u64,
    /// By seller id.
    #[serde(default)]
    pub per_seller: BTreeMap<String, u64>,
}

/// An order as the simulator has served it, or has it now.
#[derive(Debug, Clone, Deserialize)]
pub struct AmazonOrder {
    /// Amazon's order id.
    pub order_id: String,
    /// RFC 3339.
    pub last_updated_time: String,
    /// Ids of its items.
    #[serde(default)]
    pub items: Vec<String>,
}

/// The running simulator.
#[derive(Debug)]
pub struct Amazon {
    /// What it printed.
    pub ready: Ready,
    /// Its process.
    pub process: ChildProcess,
    client: reqwest::Client,
}

impl Amazon {
    pub(super) async fn start(options: &FleetOptions, folder: &Path) -> Result<Self> {
        let mut command = Command::new(program("amazon-simulator")?);
        command
            .args(["--listen", "127.0.0.1:0"])
            .args(["--sellers", &options.sellers.to_string()])
            .args(["--orders", &options.orders.to_string()])
            .args(["--seed", &options.seed.to_string()])
            .args(["--time-scale", &options.time_scale.to_string()]);
        let log = folder.join("logs").join("simulator.log");
        let child = ChildOptions::new("simulator", command)
            .log_to(log)
            .capture_first_line();
        let process = ChildProcess::spawn(child)?;
        let line = process.first_line(READY).await?;
        let ready = serde_json::from_str(&line).context("read the simulator's first line")?;
        Ok(Self {
            ready,
            process,
            client: client()?,
        })
    }

    /// What it has counted since it started.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn counts(&self) -> Result<AmazonCounts> {
        self.get("counts").await
    }

    /// Every order of a seller that was in a complete answer, in the newest version that was.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn served(&self, seller_id: &str) -> Result<Vec<AmazonOrder>> {
        self.get(&format!("served/{seller_id}")).await
    }

    /// Every order of a seller that exists now.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn orders(&self, seller_id: &str) -> Result<Vec<AmazonOrder>> {
        self.get(&format!("orders/{seller_id}")).await
    }

    /// Asks for one of the control endpoints, without the leading `/_simulator/`.
    ///
    /// # Errors
    /// If it does not answer with what is expected.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let url = format!("{}/{path}", self.ready.control_url.trim_end_matches('/'));
        let answer = self.client.get(&url).send().await?.error_for_status()?;
        answer
            .json()
            .await
            .with_context(|| format!("read the answer of {url}"))
    }

    /// Posts to one of the control endpoints: faults, the clock, arriving orders.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let url = format!("{}/{path}", self.ready.control_url.trim_end_matches('/'));
        let answer = self.client.post(&url).json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        anyhow::ensure!(status.is_success(), "{url} answered {status}: {text}");
        Ok(())
    }

    /// Takes every fault back.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn clear_faults(&self) -> Result<()> {
        let url = format!("{}/faults", self.ready.control_url.trim_end_matches('/'));
        self.client.delete(&url).send().await?.error_for_status()?;
        Ok(())
    }
}

pub(super) fn client() -> Result<reqwest::Client> {
    // The client is built for TLS even where only loopback is spoken to.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()?;
    Ok(client)
}
