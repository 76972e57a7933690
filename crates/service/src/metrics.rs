//! The recorder behind `/metrics`, labelled with process and class.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::process::Process;

/// Upper bounds for histograms whose name ends in `_ms`.
const BUCKETS_MS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 10e3, 30e3, 60e3, 300e3,
    1800e3,
];
/// Upper bounds for histograms whose name ends in `_seconds`.
const BUCKETS_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1800.0,
];
/// How often histograms that nobody scrapes are folded together, so that they do not grow.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder of this process.
///
/// # Errors
/// There is one already.
pub(crate) fn install(process: &Process) -> Result<PrometheusHandle, BuildError> {
    let handle = builder(process)?.install_recorder()?;
    describe();
    let revision = option_env!("BULKHEAD_REVISION").unwrap_or("unknown");
    ::metrics::gauge!("bulkhead_build_info", "version" => env!("CARGO_PKG_VERSION"), "revision" => revision).set(1.0);
    Ok(handle)
}

/// Folds histograms together for as long as the runtime lives.
pub(crate) async fn upkeep(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

fn builder(process: &Process) -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new().add_global_label("process", process.name);
    if let Some(class) = process.class {
        builder = builder.add_global_label("class", class.as_str());
    }
    builder
        .set_buckets_for_metric(Matcher::Suffix("_ms".to_owned()), BUCKETS_MS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS_SECONDS)
}

fn describe() {
    ::metrics::describe_gauge!(
        "bulkhead_build_info",
        "1, with the version and revision of this process"
    );
    ::metrics::describe_gauge!(
        "bulkhead_dependency_up",
        "Whether a dependency answered last: 1 or 0"
    );
    ::metrics::describe_counter!(
        "bulkhead_dependency_failures_total",
        "Failures of a dependency"
    );
}

#[cfg(test)]
mod tests {
    use bulkhead_domain::Class;

    use super::*;

    #[test]
    fn every_metric_names_its_process_and_class() {
        let recorder = builder(&Process::new("bulkhead-sync").class(Class::Sync))
            .unwrap()
            .build_recorder();
        let handle = recorder.handle();
        ::metrics::with_local_recorder(&recorder, || {
            ::metrics::counter!("pages_total").increment(2);
            ::metrics::histogram!("page_ms").record(3.0);
        });
        let text = handle.render();
        assert!(
            text.contains(r#"pages_total{process="bulkhead-sync",class="sync"} 2"#),
            "{text}"
        );
        assert!(
            text.contains(r#"page_ms_bucket{process="bulkhead-sync",class="sync",le="5"} 1"#),
            "{text}"
        );
    }
}
