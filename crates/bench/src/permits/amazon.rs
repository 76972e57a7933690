//! The simulator as the judge: it enforces the plans with a limiter of its own, and its log says what arrived when.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use bulkhead_domain::UsagePlan;
use bulkhead_simulator::{Options, Running, Simulator};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::shape::{SHAPES, Shape};

/// Who calls what: application, seller and operation.
type Key = (String, String, String);

pub(crate) struct Amazon {
    running: Running,
    http: reqwest::Client,
}

/// A seller's consent to one application.
#[derive(Debug, Clone)]
pub(crate) struct Consent {
    pub(crate) seller: String,
    pub(crate) marketplace: String,
    pub(crate) client_id: String,
    pub(crate) application: u64,
    pub(crate) access_token: String,
}

/// A request that arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) at_us: i64,
    pub(crate) throttled: bool,
}

/// All requests that arrived, in order, by who called what.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(HashMap<Key, Vec<Arrival>>);

#[derive(Deserialize)]
struct LogLine {
    arrived_us: i64,
    operation: Option<String>,
    seller_id: Option<String>,
    application: Option<String>,
    status: u16,
}

impl Amazon {
    /// With full buckets, under the plans of all shapes.
    pub(crate) async fn start(sellers: u32) -> anyhow::Result<Self> {
        // Plain HTTP does not use it, but the client asks for one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = Options {
            sellers,
            orders: 0,
            applications: 2,
            ..Options::default()
        };
        let amazon = Self {
            running: Simulator::start(options).await?,
            http: reqwest::Client::builder().no_proxy().build()?,
        };
        for shape in &SHAPES {
            amazon.set_plan(shape, shape.plan(), true).await?;
        }
        Ok(amazon)
    }

    pub(crate) fn base_url(&self) -> String {
        self.running.ready.endpoints.na.clone()
    }

    /// Another plan from now on; the header says so if it is `announced`.
    pub(crate) async fn set_plan(
        &self,
        shape: &Shape,
        plan: UsagePlan,
        announced: bool,
    ) -> anyhow::Result<()> {
        let plan = json!({
            "operation": shape.key,
            "rate_per_s": plan.rate_per_s,
            "burst": plan.burst,
            "announced": announced,
        });
        self.control("plans", &plan).await?;
        Ok(())
    }

    /// Consent of seller `number` to application `application` (0 or 1), with an access token.
    pub(crate) async fn consent(&self, number: usize, application: u64) -> anyhow::Result<Consent> {
        let ready = &self.running.ready;
        let seller = ready.sellers.get(number).context("too few sellers")?;
        let client = &ready.applications[usize::try_from(application)?];
        let asked = json!({"seller_id": seller.seller_id, "client_id": client.client_id});
        let code = self.control("authorize", &asked).await?;
        let form = [
            ("grant_type", "authorization_code"),
            (
                "code",
                code["spapi_oauth_code"].as_str().unwrap_or_default(),
            ),
            ("client_id", &client.client_id),
            ("client_secret", &client.client_secret),
        ];
        let answer = self.http.post(&ready.lwa_url).form(&form).send().await?;
        let token: Value = answer.error_for_status()?.json().await?;
        Ok(Consent {
            seller: seller.seller_id.clone(),
            marketplace: seller.marketplace_ids[0].clone(),
            client_id: client.client_id.clone(),
            application,
            access_token: token["access_token"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        })
    }

    pub(crate) async fn arrivals(&self) -> anyhow::Result<Arrivals> {
        let url = format!("{}/requests", self.running.ready.control_url);
        let lines: Vec<LogLine> = read(self.http.get(url).send().await?).await?;
        let mut arrivals = Arrivals::default();
        for line in lines {
            let (Some(application), Some(seller), Some(operation)) =
                (line.application, line.seller_id, line.operation)
            else {
                continue;
            };
            let shaped = SHAPES.iter().any(|shape| shape.key == operation);
            let answered = matches!(line.status, 0 | 200 | 404 | 429);
            ensure!(
                !shaped || answered,
                "{operation} was answered {}",
                line.status
            );
            let key = (application, seller, operation);
            arrivals.0.entry(key).or_default().push(Arrival {
                at_us: line.arrived_us,
                throttled: line.status == 429,
            });
        }
        Ok(arrivals)
    }

    async fn control(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/{path}", self.running.ready.control_url);
        read(self.http.post(url).json(body).send().await?).await
    }
}

impl Arrivals {
    /// Those of one consent and operation.
    pub(crate) fn of(&self, consent: &Consent, shape: &Shape) -> &[Arrival] {
        let key = (
            consent.client_id.clone(),
            consent.seller.clone(),
            shape.key.to_owned(),
        );
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }
}

async fn read<T: DeserializeOwned>(answer: reqwest::Response) -> anyhow::Result<T> {
    Ok(answer.error_for_status()?.json().await?)
}
