use tracing_subscriber::EnvFilter;
use url::Url;

use super::reader::Reader;

/// `[telemetry]`
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// How log lines look.
    pub format: Format,
    /// What is logged: a level, or directives such as `info,bulkhead_broker=debug`. Valid when loaded.
    pub level: String,
    /// Base URL of an OpenTelemetry collector (`/v1/traces` is appended); `None` exports nothing.
    pub otlp_endpoint: Option<Url>,
    /// The share of traces that is exported, 0 to 1.
    pub trace_ratio: f64,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// For people; coloured on a terminal.
    Human,
}

impl Telemetry {
    pub(super) fn read(reader: &mut Reader) -> Telemetry {
        let formats = [("json", Format::Json), ("human", Format::Human)];
        Telemetry {
            format: reader
                .choice("telemetry.format", &formats)
                .unwrap_or(Format::Json),
            level: level(reader),
            otlp_endpoint: reader.http_url("telemetry.otlp_endpoint"),
            trace_ratio: reader.float("telemetry.trace_ratio", 1.0, 0.0..=1.0),
        }
    }
}

fn level(reader: &mut Reader) -> String {
    let given = reader
        .text("telemetry.level")
        .unwrap_or_else(|| "info".to_owned());
    if let Err(message) = check_level(&given) {
        let source = reader.source("telemetry.level");
        reader.problem(source, message);
    }
    given
}

/// A bare word that is no level is a target to `EnvFilter`, and silences everything else.
fn check_level(given: &str) -> Result<(), String> {
    let wanted = "must be off, error, warn, info, debug or trace, or directives such as info,bulkhead_broker=debug";
    let filter = EnvFilter::builder().parse(given);
    let bare_word = given.split(',').find(|part| {
        let part = part.trim();
        !part.contains(['=', '['])
            && part
                .parse::<tracing_subscriber::filter::LevelFilter>()
                .is_err()
    });
    match (filter, bare_word) {
        (Ok(_), None) => Ok(()),
        _ => Err(format!("telemetry.level {wanted}, not {given:?}")),
    }
}
