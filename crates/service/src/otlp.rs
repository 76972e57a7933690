//! Traces to an OpenTelemetry collector: OTLP over HTTP, in batches, off the handlers' threads.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry::{KeyValue, Value};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;
use url::Url;

use crate::config::Telemetry;
use crate::outage::Outage;
use crate::process::Process;
use crate::redaction::redact;
use crate::start_error::StartError;
use crate::tls;

/// How long one batch, and the flush at the end, may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A provider that exports to `endpoint`. Needs the Tokio runtime it is called on to stay up.
pub(crate) fn provider(
    process: &Process,
    telemetry: &Telemetry,
    endpoint: &Url,
) -> Result<SdkTracerProvider, StartError> {
    let exporter = exporter(endpoint).map_err(|error| {
        StartError::refused(format!(
            "telemetry.otlp_endpoint {endpoint} cannot be used: {error}"
        ))
    })?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(telemetry.trace_ratio)));
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(OnRuntime {
            exporter: Arc::new(exporter),
            outage: Outage::new("OpenTelemetry collector"),
            runtime: Handle::current(),
        })
        .with_sampler(sampler)
        .with_resource(resource(process))
        .build())
}

/// Sends what is still in the batch. Blocks for up to [`TIMEOUT`], so not on the runtime's own threads.
pub(crate) fn flush(provider: &SdkTracerProvider) {
    if let Err(error) = provider.shutdown_with_timeout(TIMEOUT) {
        tracing::warn!(error = %error, "the last traces were not exported");
    }
}

fn exporter(
    endpoint: &Url,
) -> Result<opentelemetry_otlp::SpanExporter, Box<dyn std::error::Error + Send + Sync>> {
    tls::install_ring();
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(TIMEOUT)
        .with_endpoint(format!(
            "{}/v1/traces",
            endpoint.as_str().trim_end_matches('/')
        ))
        .build()?;
    Ok(exporter)
}

fn resource(process: &Process) -> Resource {
    let class = process
        .class
        .map(|class| KeyValue::new("bulkhead.class", class.as_str()));
    Resource::builder()
        .with_service_name(process.name)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("process.pid", i64::from(std::process::id())))
        .with_attributes(class)
        .build()
}

/// Exports on the Tokio runtime: the batch processor calls from a thread of its own, which has none.
#[derive(Debug)]
struct OnRuntime {
    exporter: Arc<opentelemetry_otlp::SpanExporter>,
    outage: Outage,
    runtime: Handle,
}

impl SpanExporter for OnRuntime {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(redact_span);
        let exporter = Arc::clone(&self.exporter);
        let export = self
            .runtime
            .spawn(async move { exporter.export(batch).await });
        let exported = export
            .await
            .map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?;
        match &exported {
            Ok(()) => self.outage.up(),
            Err(error) => self.outage.down(error),
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Called once, by the builder, while no export holds the other reference.
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}

/// A collector is one more place where no secret may go.
fn redact_span(span: &mut SpanData) {
    span.attributes.iter_mut().for_each(redact_attribute);
    for event in &mut span.events.events {
        if let Cow::Owned(clean) = redact(&event.name) {
            event.name = clean.into();
        }
        event.attributes.iter_mut().for_each(redact_attribute);
    }
    if let Status::Error { description } = &mut span.status
        && let Cow::Owned(clean) = redact(description)
    {
        *description = clean.into();
    }
}

fn redact_attribute(attribute: &mut KeyValue) {
    if let Value::String(text) = &attribute.value
        && let Cow::Owned(clean) = redact(text.as_str())
    {
        attribute.value = Value::String(clean.into());
    }
}
