//! Points in time as they are typed: `2026-11-01T00:00:00Z`, `2026-11-01`, `7d`.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil::Date, tz::TimeZone};

/// Where a sync begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A moment.
    At(Timestamp),
    /// So long before now.
    Ago(SignedDuration),
}

impl Since {
    /// The moment, seen from `now`.
    ///
    /// # Errors
    /// It lies after `now`, or before the year −9999.
    pub fn before(self, now: Timestamp) -> Result<Timestamp, String> {
        let moment = match self {
            Self::At(moment) => moment,
            Self::Ago(duration) => now
                .checked_sub(duration)
                .map_err(|_| "--since lies too far back".to_owned())?,
        };
        if moment > now {
            return Err(format!("--since {moment} lies in the future"));
        }
        Ok(moment)
    }
}

/// Takes an RFC 3339 time, a date (its beginning in UTC) or a duration before now; for clap.
///
/// # Errors
/// It is none of these.
pub fn since(text: &str) -> Result<Since, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Since::At(moment));
    }
    if let Ok(date) = text.parse::<Date>() {
        let midnight = date
            .to_zoned(TimeZone::UTC)
            .map_err(|error| error.to_string())?;
        return Ok(Since::At(midnight.timestamp()));
    }
    duration(text)
        .map(Since::Ago)
        .map_err(|_| "must be a time (2026-11-01T00:00:00Z), a date (2026-11-01) or a duration before now (7d, 12h)".to_owned())
}

/// Takes a duration as in `4h`, `90m` or `7d`; a day has 24 hours.
///
/// # Errors
/// It is no duration, or a negative one.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    let refusal = || "must be a duration as in 4h, 90m or 7d".to_owned();
    let span: Span = text.parse().map_err(|_| refusal())?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| refusal())?;
    if duration.is_negative() {
        return Err(refusal());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen_from_noon(text: &str) -> Result<String, String> {
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        since(text)?.before(noon).map(|moment| moment.to_string())
    }

    #[test]
    fn times_dates_and_durations_are_understood() {
        for (text, moment) in [
            ("2026-11-01T02:00:00+02:00", "2026-11-01T00:00:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("7d", "2026-11-17T12:00:00Z"),
            ("36h", "2026-11-23T00:00:00Z"),
        ] {
            assert_eq!(seen_from_noon(text).as_deref(), Ok(moment), "{text}");
        }
    }

    #[test]
    fn the_future_and_nonsense_are_refused() {
        for text in ["2027-01-01", "yesterday", "-3d", "", "7", "1mo"] {
            assert!(seen_from_noon(text).is_err(), "{text}");
        }
    }
}
