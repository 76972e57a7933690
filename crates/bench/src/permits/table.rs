//! The figures for people.

use comfy_table::{Table, presets};

use super::{
    Figures,
    baseline::{Comparison, Work},
    scenario::ScenarioVerdict,
    verdict::Verdict,
};

pub(crate) fn tables(figures: &Figures) -> Vec<Table> {
    let mut tables = vec![
        summary(figures),
        plans("steady arrivals", &figures.steady),
        plans("arrivals in bursts", &figures.bursts),
        scenarios(&figures.scenarios),
    ];
    tables.extend(figures.baseline.as_ref().map(comparison));
    tables
}

fn summary(figures: &Figures) -> Table {
    let speed = &figures.speed;
    let machine = &figures.machine;
    let many = speed.connections;
    let mut table = table(["figure", "measured", "asked"]);
    table.add_rows([
        row(
            "utilisation, lowest",
            percent(figures.utilisation),
            "≥ 99 %",
        ),
        row(
            "burst 1, of r/(1 + rJ)",
            percent(figures.burst_one_of_attainable),
            "≥ 99 %",
        ),
        row("throttled", figures.throttled.to_string(), "0"),
        row(
            "permits_per_s",
            format!("{:.0}", speed.permits_per_s),
            "≥ 40000",
        ),
        row(
            "  of the floor, in the same run",
            percent(speed.permits_of_floor),
            "",
        ),
        row(
            "  the floor, a GET and a SET",
            format!("{:.0}", speed.floor_per_s),
            "",
        ),
        row(
            &format!("  among {many} buckets"),
            format!("{:.0}", speed.permits_per_s_among_many),
            "no slower",
        ),
        row(
            "  CPU of Redis, µs",
            format!("{:.1}", speed.redis_us_per_permit),
            "",
        ),
        row(
            "p99 at 5,000/s, ms",
            format!("{:.2}", speed.p99_ms_at_5000_per_s),
            "< 1",
        ),
        row(
            "  the floor's",
            format!("{:.2}", speed.floor_p99_ms_at_5000_per_s),
            "",
        ),
        row(
            "bytes per bucket",
            format!("{:.0}", speed.bytes_per_bucket),
            "",
        ),
        row(
            "machine's own delay, p99, ms",
            format!("{:.1}", machine.late_ms_p99),
            "",
        ),
        row(
            "  the longest, ms",
            format!("{:.1}", machine.late_ms_max),
            "",
        ),
        row("permits asked for", machine.permits_asked.to_string(), ""),
        row("  granted", machine.permits_granted.to_string(), ""),
        row("  expired unspent", machine.permits_expired.to_string(), ""),
        row("  stopped", machine.permits_stopped.to_string(), ""),
    ]);
    table
}

fn plans(title: &str, verdicts: &[Verdict]) -> Table {
    let mut table = table([
        title,
        "jitter, ms",
        "accepted",
        "allowed",
        "used",
        "of attainable",
        "429",
    ]);
    for verdict in verdicts {
        table.add_row([
            verdict.plan.clone(),
            verdict.jitter_ms.to_string(),
            verdict.accepted.to_string(),
            verdict.allowed.to_string(),
            percent(verdict.utilisation),
            verdict.of_attainable.map_or_else(String::new, percent),
            verdict.throttled.to_string(),
        ]);
    }
    table
}

fn scenarios(verdicts: &[ScenarioVerdict]) -> Table {
    let mut table = table(["scenario", "lowest use", "burst 1, of attainable", "429"]);
    for verdict in verdicts {
        table.add_row([
            verdict.scenario.to_owned(),
            percent(verdict.utilisation),
            percent(verdict.of_attainable),
            verdict.throttled.to_string(),
        ]);
    }
    table
}

fn comparison(comparison: &Comparison) -> Table {
    let mut table = table(["the same work", "calls", "requests", "429", "seconds"]);
    let row = |name: &str, work: &Work| {
        [
            name.to_owned(),
            work.calls.to_string(),
            work.requests.to_string(),
            work.throttled.to_string(),
            format!("{:.1}", work.seconds),
        ]
    };
    table.add_row(row("permits", &comparison.permits));
    table.add_row(row("a limiter for each process", &comparison.per_process));
    table
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(header);
    table
}

fn row(name: &str, measured: String, asked: &str) -> [String; 3] {
    [name.to_owned(), measured, asked.to_owned()]
}

fn percent(part: f64) -> String {
    format!("{:.2} %", 100.0 * part)
}
