//! `bulkhead tenant add`

use bulkhead_domain::{Dataset, ScheduleId, TenantId};
use bulkhead_store::{NewSchedule, NewTenant};
use jiff::{SignedDuration, Timestamp, civil::Time, tz::TimeZone};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    name::new_name, number, output::Answer, queues, session::Session, since::duration,
    suggestion::nearest, taken,
};

/// Adds a tenant; unless told otherwise, its orders are synced every night
///
/// A night begins at the same local time all year round, and the tenant's connections are spread over its window.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead tenant add acme
  bulkhead tenant add globex --time-zone Europe/Berlin --nightly-at 01:30 --nightly-window 3h --weight 5")]
pub(crate) struct TenantAdd {
    /// Its name, unique among tenants
    #[arg(value_parser = new_name)]
    name: String,

    /// Its retention policy
    #[arg(long, default_value = "default", value_parser = new_name)]
    policy: String,

    /// Its share of the workers relative to other tenants, 0.01 to 100; `bulkhead tenant weight` changes it
    #[arg(long, default_value_t = 1.0, value_parser = number::weight, allow_negative_numbers = true)]
    weight: f64,

    /// The time zone of its nights
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = time_zone)]
    time_zone: String,

    /// When its nights begin there
    #[arg(long, value_name = "HH:MM[:SS]", default_value = "02:00", value_parser = time_of_day)]
    nightly_at: Time,

    /// Over how long its connections are spread, a day at most; 0s begins all at once
    #[arg(long, value_name = "DURATION", default_value = "4h", value_parser = window)]
    nightly_window: SignedDuration,

    /// No nightly schedule
    #[arg(long, conflicts_with_all = ["time_zone", "nightly_at", "nightly_window"])]
    no_nightly: bool,
}

#[derive(Debug, Serialize)]
struct Added {
    id: TenantId,
    name: String,
    /// Null: no nightly schedule.
    schedule_id: Option<ScheduleId>,
}

impl TenantAdd {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let store = session.store().await?;
        let id = TenantId::new(Uuid::new_v4());
        let tenant = NewTenant {
            id,
            name: &self.name,
            policy: &self.policy,
            weight: self.weight,
            classes: &queues::classes(),
        };
        let schedule = (!self.no_nightly).then(|| self.schedule(id));
        store
            .tenants()
            .add(&tenant, schedule.as_ref(), session.actor())
            .await
            .map_err(|error| taken::explained(error, "tenant", &self.name))?;
        session.show(&Added {
            id,
            name: self.name.clone(),
            schedule_id: schedule.map(|schedule| schedule.id),
        })
    }

    fn schedule(&self, tenant: TenantId) -> NewSchedule<'_> {
        NewSchedule {
            tenant,
            id: ScheduleId::new(Uuid::new_v4()),
            dataset: Dataset::Orders,
            time_zone: &self.time_zone,
            starts_at: self.nightly_at,
            window: self.nightly_window.unsigned_abs(),
            planned_until: Timestamp::now(),
        }
    }
}

impl Answer for Added {
    fn for_people(&self, _: bool) -> String {
        format!("tenant {} added: {}\n", self.name, self.id)
    }
}

fn time_zone(name: &str) -> Result<String, String> {
    if TimeZone::get(name).is_ok() {
        return Ok(name.to_owned());
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|zone| zone.to_string())
        .collect();
    match nearest(name, known.iter().map(String::as_str)) {
        Some(meant) => Err(format!("no such time zone; did you mean {meant}?")),
        None => Err("no such time zone: give an IANA name, as in Europe/Berlin".to_owned()),
    }
}

fn time_of_day(text: &str) -> Result<Time, String> {
    text.parse()
        .map_err(|_| "must be a time of day, as in 02:00 or 23:30:15".to_owned())
}

fn window(text: &str) -> Result<SignedDuration, String> {
    let window = duration(text)?;
    if window > SignedDuration::from_hours(24) {
        return Err("must not be longer than a day".to_owned());
    }
    Ok(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_time_zone_is_recognised() {
        assert_eq!(time_zone("UTC"), Ok("UTC".to_owned()));
        let refusal = time_zone("Europe/Berlim").unwrap_err();
        assert_eq!(refusal, "no such time zone; did you mean Europe/Berlin?");
    }

    #[test]
    fn times_of_day_have_seconds_or_none() {
        assert_eq!(time_of_day("02:00"), Ok(Time::constant(2, 0, 0, 0)));
        assert_eq!(time_of_day("23:30:15"), Ok(Time::constant(23, 30, 15, 0)));
        assert!(time_of_day("25:00").is_err());
    }

    #[test]
    fn a_window_lasts_a_day_at_most() {
        assert_eq!(window("0s"), Ok(SignedDuration::ZERO));
        assert_eq!(window("10s"), Ok(SignedDuration::from_secs(10)));
        assert_eq!(window("24h"), Ok(SignedDuration::from_hours(24)));
        assert!(window("25h").is_err());
    }
}
