//! What a simulator can be told at its start.

use std::net::SocketAddr;

use clap::{ArgAction, Args};

/// Options of a simulator; the command line's flags and the library's argument.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one, which the ready line names.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// Base URL that clients use, where it is not http://ADDR (in a container, say).
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,

    /// Number of sellers, spread over the regions NA, EU and FE.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub sellers: u32,

    /// Orders that every seller has at the start, placed within the 30 days before it.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub orders: u32,

    /// Applications (client ids); sellers are authorized for them in turn.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub applications: u16,

    /// Seed of all generated data and credentials; the same seed gives the same ones.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,

    /// What takes time at Amazon takes 1/X of it: rates, token lifetimes, reports, order life.
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = time_scale)]
    pub time_scale: f64,

    /// New orders per seller and hour at Amazon (X of them per real hour with --time-scale X).
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = arrivals)]
    pub arrivals_per_hour: f64,

    /// Answer 429 when a usage plan is exceeded.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub enforce_plans: bool,

    /// Requests that the log keeps; older ones are dropped.
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub log_capacity: u32,
}

impl Default for Options {
    /// A free port on the loopback address, 24 sellers with 2,000 orders each, real pace.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            sellers: 24,
            orders: 2_000,
            applications: 1,
            seed: 1,
            time_scale: 1.0,
            arrivals_per_hour: 0.0,
            enforce_plans: true,
            log_capacity: 500_000,
        }
    }
}

fn time_scale(text: &str) -> Result<f64, String> {
    number(text, 0.001, 1_000_000.0)
}

fn arrivals(text: &str) -> Result<f64, String> {
    number(text, 0.0, 100_000.0)
}

fn number(text: &str, from: f64, to: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (from..=to).contains(&number) {
        Ok(number)
    } else {
        Err(format!("must be from {from} to {to}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_library_and_the_command_line_have_the_same_defaults() {
        let parsed = Cli::try_parse_from(["amazon-simulator"]).unwrap().options;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Options::default()));
    }

    #[test]
    fn a_time_scale_of_zero_is_refused() {
        assert!(Cli::try_parse_from(["amazon-simulator", "--time-scale", "0"]).is_err());
        assert!(Cli::try_parse_from(["amazon-simulator", "--time-scale", "fast"]).is_err());
    }
}
