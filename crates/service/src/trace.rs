//! One trace across processes: the W3C `traceparent` travels in the job.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

/// The current span as a W3C `traceparent`; `None` while traces are not exported.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    traceparent(&Span::current())
}

/// A span as a W3C `traceparent`; `None` while traces are not exported.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes `span` a child of the span that `traceparent` names, in whichever process that ran.
///
/// Call it before `span` is entered. A malformed `traceparent` leaves `span` the root of a trace of its own.
pub fn continue_from(span: &Span, traceparent: &str) {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    // Without an exporter there is nothing to join, and that is no failure.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
}
