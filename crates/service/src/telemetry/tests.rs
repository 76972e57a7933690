use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tracing::info_span;

use super::testing::Captured;
use super::*;
use crate::config::{Config, Sources};
use crate::trace;

#[test]
fn a_log_line_is_one_json_object_with_the_fields_of_its_spans() {
    let captured = Captured::start();
    let job = info_span!("job", job.id = "j1");
    job.in_scope(|| tracing::info!(job.attempt = 2, "completed\njob"));
    let lines = captured.lines();
    assert_eq!(lines.len(), 1);
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["message"], "completed\njob");
    assert_eq!(line["job.attempt"], 2);
    assert_eq!(line["spans"][0]["job.id"], "j1");
}

#[test]
fn a_command_logs_warnings_for_people_whatever_the_fleet_logs() {
    let fleet = Config::load(&Sources::default(), &[]).unwrap().telemetry;
    let logged = as_logged(&Process::tool("bulkhead"), &fleet);
    assert_eq!(
        (logged.format, logged.level.as_str()),
        (Format::Human, "warn")
    );
    let logged = as_logged(&Process::new("bulkhead-sync"), &fleet);
    assert_eq!(
        (logged.format, logged.level.as_str()),
        (Format::Json, "info")
    );
}

#[test]
fn without_a_collector_there_is_no_traceparent() {
    let _captured = Captured::start();
    let span = info_span!("job");
    trace::continue_from(
        &span,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    );
    assert_eq!(span.in_scope(trace::current_traceparent), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_continues_the_trace_of_another_process_and_reaches_the_collector_redacted() {
    let (endpoint, received) = collector().await;
    let telemetry = Telemetry {
        format: Format::Json,
        level: "off".into(),
        otlp_endpoint: Some(endpoint.clone()),
        trace_ratio: 1.0,
    };
    let process = Process::new("bulkhead-sync").class(bulkhead_domain::Class::Sync);
    let provider = otlp::provider(&process, &telemetry, &endpoint).unwrap();

    let subscriber = Registry::default().with(traces(&process, &provider));
    let onward = tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("job", url = "redis://u:CANARY@h");
        trace::continue_from(
            &span,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        );
        span.in_scope(|| tracing::info!(token = "Atza|CANARY", "got Atzr|CANARY"));
        span.in_scope(trace::current_traceparent).unwrap()
    });
    let (export, spans) = tokio::task::spawn_blocking(move || {
        otlp::flush(&provider);
        let export = received.recv_timeout(Duration::from_secs(10)).unwrap();
        let spans = spans(&export);
        (export, spans)
    })
    .await
    .unwrap();

    assert_eq!(spans.len(), 1);
    let span = &spans[0];
    assert_eq!(hex(&span.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&span.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(
        onward,
        format!(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01",
            hex(&span.span_id)
        )
    );
    assert_eq!(service_name(&export), "bulkhead-sync");
    let everything = format!("{export:?}");
    assert!(
        everything.contains("[redacted]") && !everything.contains("CANARY"),
        "{everything}"
    );
}

/// The base URL of a collector, and the exports it gets at `/v1/traces`.
async fn collector() -> (url::Url, Receiver<ExportTraceServiceRequest>) {
    let (sender, received) = channel();
    let traces = post(async move |body: Bytes| {
        sender
            .send(ExportTraceServiceRequest::decode(body).unwrap())
            .unwrap();
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(
        async move { axum::serve(listener, Router::new().route("/v1/traces", traces)).await },
    );
    (endpoint, received)
}

fn spans(export: &ExportTraceServiceRequest) -> Vec<Span> {
    let scopes = export
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

fn service_name(export: &ExportTraceServiceRequest) -> String {
    let attributes = &export.resource_spans[0]
        .resource
        .as_ref()
        .unwrap()
        .attributes;
    let name = attributes
        .iter()
        .find(|attribute| attribute.key == "service.name")
        .unwrap();
    match name.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
