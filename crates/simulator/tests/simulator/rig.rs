//! A simulator in this process, and a client that knows nothing of it but HTTP.

use std::collections::BTreeMap;

use bulkhead_simulator::{Options, Running, Simulator};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

/// A simulator that ends with its test.
pub(crate) struct Rig {
    pub(crate) running: Running,
    client: Client,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Reply {
    async fn read(response: Response) -> Self {
        let status = response.status();
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self {
            status,
            headers,
            body,
        }
    }

    /// The first error's code, message and details.
    pub(crate) fn error(&self) -> (u16, &str, &str, &str) {
        let error = &self.body["errors"][0];
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        (
            self.status.as_u16(),
            text("code"),
            text("message"),
            text("details"),
        )
    }
}

impl Rig {
    pub(crate) async fn start(options: Options) -> Self {
        // Another test of this process may have installed it; plain HTTP does not use it anyway.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        let running = Simulator::start(options).await.unwrap();
        Self { running, client }
    }

    /// One seller, plans not enforced.
    pub(crate) async fn with_orders(orders: u32) -> Self {
        Self::start(Options {
            sellers: 1,
            orders,
            enforce_plans: false,
            ..Options::default()
        })
        .await
    }

    pub(crate) fn seller_id(&self) -> &str {
        &self.running.ready.sellers[0].seller_id
    }

    /// The fields of a token request for the first seller.
    pub(crate) fn refresh_form(&self) -> Vec<(&'static str, String)> {
        let application = &self.running.ready.applications[0];
        vec![
            ("grant_type", "refresh_token".into()),
            (
                "refresh_token",
                self.running.ready.sellers[0].refresh_token.clone(),
            ),
            ("client_id", application.client_id.clone()),
            ("client_secret", application.client_secret.clone()),
        ]
    }

    pub(crate) async fn lwa(&self, form: &[(&str, String)]) -> Reply {
        let request = self.client.post(&self.running.ready.lwa_url).form(form);
        Reply::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn lwa_json(&self, body: &Value) -> Reply {
        let request = self.client.post(&self.running.ready.lwa_url).json(body);
        Reply::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn access_token(&self) -> String {
        let reply = self.lwa(&self.refresh_form()).await;
        reply.body["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.running.ready.endpoints.na);
        self.client
            .request(method, url)
            .header("x-amz-access-token", token)
    }

    pub(crate) async fn get(&self, token: &str, path: &str, query: &[(&str, &str)]) -> Reply {
        let request = self.request(Method::GET, path, token).query(query);
        Reply::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value) -> Reply {
        let request = self.request(Method::POST, path, token).json(body);
        Reply::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Reply {
        Reply::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn download(&self, url: &str) -> Response {
        self.client.get(url).send().await.unwrap()
    }

    pub(crate) async fn control(&self, method: Method, path: &str, body: &Value) -> Reply {
        let url = format!("{}/{path}", self.running.ready.control_url);
        let request = self.client.request(method, url).body(body.to_string());
        Reply::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn look(&self, path: &str) -> Value {
        let reply = self.control(Method::GET, path, &Value::Null).await;
        assert_eq!(reply.status, 200, "{:?}", reply.body);
        reply.body
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let reply = self.control(Method::POST, "faults", &fault).await;
        assert_eq!(reply.status, 200, "{:?}", reply.body);
    }

    pub(crate) async fn clear_faults(&self) {
        let reply = self.control(Method::DELETE, "faults", &Value::Null).await;
        assert_eq!(reply.status, 200, "{:?}", reply.body);
    }

    pub(crate) async fn advance(&self, seconds: u64) {
        let body = json!({"ms": seconds * 1_000});
        let reply = self.control(Method::POST, "clock/advance", &body).await;
        assert_eq!(reply.status, 200, "{:?}", reply.body);
    }

    pub(crate) async fn arrive(&self, count: u32) {
        let body = json!({"seller_id": self.seller_id(), "count": count});
        let reply = self.control(Method::POST, "orders/arrive", &body).await;
        assert_eq!(reply.status, 200, "{:?}", reply.body);
    }
}
