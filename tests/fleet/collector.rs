//! A collector of traces, and what it has got.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::{Router, body::Bytes, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value,
};
use prost::Message;

/// Takes exports at `/v1/traces` while the test runs.
pub(crate) struct Collector {
    /// What `telemetry.otlp_endpoint` is to be.
    pub(crate) endpoint: String,
    exports: Arc<Mutex<Vec<Bytes>>>,
}

/// One span, with the process that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CollectedSpan {
    pub(crate) process: String,
    pub(crate) name: String,
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
}

impl Collector {
    pub(crate) async fn start() -> Result<Self> {
        let exports = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&exports);
        let keep = post(async move |body: Bytes| {
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(body);
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let router = Router::new().route("/v1/traces", keep);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { endpoint, exports })
    }

    /// The exports as they came.
    pub(crate) fn exports(&self) -> Vec<Bytes> {
        self.exports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Every span of every export.
    pub(crate) fn spans(&self) -> Result<Vec<CollectedSpan>> {
        let mut spans = Vec::new();
        for export in self.exports() {
            for resource in ExportTraceServiceRequest::decode(export)?.resource_spans {
                let attributes = resource.resource.unwrap_or_default().attributes;
                let process = attributes
                    .into_iter()
                    .find(|attribute| attribute.key == "service.name")
                    .and_then(|attribute| attribute.value?.value);
                let Some(Value::StringValue(process)) = process else {
                    anyhow::bail!("an export names no service");
                };
                let of_scopes = resource
                    .scope_spans
                    .into_iter()
                    .flat_map(|scope| scope.spans);
                spans.extend(of_scopes.map(|span| CollectedSpan {
                    process: process.clone(),
                    name: span.name,
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                }));
            }
        }
        Ok(spans)
    }
}
