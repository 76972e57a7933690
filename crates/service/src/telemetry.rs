//! Logs on standard error, and traces to a collector if one is configured.

use std::io;
use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{ConfigError, Format, Source, Telemetry};
use crate::otlp;
use crate::process::Process;
use crate::redaction::Redacting;
use crate::start_error::StartError;

/// What must happen before the process ends so that no trace is lost.
#[derive(Debug)]
#[must_use]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

impl TelemetryGuard {
    /// Exports the last traces, for up to five seconds. Blocks: not on the runtime's own threads.
    pub fn flush(self) {
        if let Some(provider) = &self.provider {
            otlp::flush(provider);
        }
    }
}

/// Installs the subscriber of this process. Needs a Tokio runtime if traces are exported.
///
/// # Errors
/// The settings cannot be used, or a subscriber is installed already.
pub fn init(process: &Process, telemetry: &Telemetry) -> Result<TelemetryGuard, StartError> {
    let logs = logs(
        &as_logged(process, telemetry),
        io::stderr().is_terminal(),
        io::stderr,
    )?;
    let provider = match &telemetry.otlp_endpoint {
        Some(endpoint) => Some(otlp::provider(process, telemetry, endpoint)?),
        None => None,
    };
    let traces = provider.as_ref().map(|provider| traces(process, provider));
    Registry::default()
        .with(logs)
        .with(traces)
        .try_init()
        .map_err(|error| StartError::refused(format!("logging cannot be set up: {error}")))?;
    Ok(TelemetryGuard { provider })
}

/// The fleet's file speaks of processes that stay up; whoever runs a command reads its output.
fn as_logged(process: &Process, telemetry: &Telemetry) -> Telemetry {
    let mut telemetry = telemetry.clone();
    if !process.stays_up {
        telemetry.format = Format::Human;
        telemetry.level = "warn".to_owned();
    }
    telemetry
}

/// Log lines to `writer`, with the fields of every span around them, redacted.
pub(crate) fn logs<S, W>(
    telemetry: &Telemetry,
    colour: bool,
    writer: W,
) -> Result<Box<dyn Layer<S> + Send + Sync>, ConfigError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&telemetry.level)
        .map_err(|error| {
            ConfigError::one(
                Source::Whole,
                format!(
                    "telemetry.level {:?} cannot be used: {error}",
                    telemetry.level
                ),
            )
        })?;
    let layer = tracing_subscriber::fmt::layer().with_writer(Redacting::new(writer));
    Ok(match telemetry.format {
        Format::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .with_filter(filter)
            .boxed(),
        Format::Human => layer
            .with_ansi(colour)
            .with_target(false)
            .with_filter(filter)
            .boxed(),
    })
}

/// Spans of INFO and above to `provider`, whatever is logged.
pub(crate) fn traces<S>(process: &Process, provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(process.name))
        .with_threads(false)
        .with_location(false)
        .with_filter(FilterFn::new(is_traced))
}

/// What the export itself does must not be exported.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let carriers = ["opentelemetry", "hyper", "reqwest", "h2", "rustls", "tower"];
    *metadata.level() <= Level::INFO && !carriers.iter().any(|carrier| target.starts_with(carrier))
}

#[cfg(test)]
pub(crate) mod testing {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::DefaultGuard;

    use super::*;

    /// The JSON lines that this thread logs while it lives.
    pub(crate) struct Captured {
        buffer: Buffer,
        _guard: DefaultGuard,
    }

    impl Captured {
        pub(crate) fn start() -> Captured {
            Captured::start_as(Format::Json)
        }

        pub(crate) fn start_as(format: Format) -> Captured {
            let telemetry = Telemetry {
                format,
                level: "trace".into(),
                otlp_endpoint: None,
                trace_ratio: 1.0,
            };
            let buffer = Buffer::default();
            let writer = buffer.clone();
            let layer = logs(&telemetry, false, move || writer.clone()).unwrap();
            Captured {
                buffer,
                _guard: Registry::default().with(layer).set_default(),
            }
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.buffer.0.lock().unwrap().clone()).unwrap()
        }

        pub(crate) fn lines(&self) -> Vec<String> {
            self.text().lines().map(str::to_owned).collect()
        }
    }

    #[derive(Clone, Default)]
    pub(crate) struct Buffer(pub(crate) Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
