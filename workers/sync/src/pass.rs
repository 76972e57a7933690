//! A pass: everything that changed since the last one, page by page.

use bulkhead_amazon::orders::PaginationToken;
use bulkhead_domain::forecast::FIRST_SYNC_REACHES_BACK;
use bulkhead_store::Checkpoint;
use jiff::{SignedDuration, Timestamp};

/// Makes sure that a pass is running; `since` is where the job wants it to begin at the latest.
///
/// A running pass that began late for this job begins anew: one pass covers both.
pub(crate) fn begin(checkpoint: &mut Checkpoint, since: Option<Timestamp>, now: Timestamp) {
    let first = now
        .saturating_sub(FIRST_SYNC_REACHES_BACK)
        .unwrap_or(Timestamp::MIN);
    let wanted = since.or(checkpoint.watermark).unwrap_or(first);
    match checkpoint.pass_after {
        Some(running) if since.is_none_or(|since| running <= since) => {}
        Some(_) | None => {
            checkpoint.pass_after = Some(whole_second(wanted));
            restart(checkpoint);
        }
    }
}

/// Earlier, if at all. Amazon takes a page token only with the very time of the first page, and Postgres keeps
/// microseconds of what a clock gives in nanoseconds.
fn whole_second(time: Timestamp) -> Timestamp {
    let nanosecond = time.subsec_nanosecond();
    let back = if nanosecond < 0 {
        nanosecond + 1_000_000_000
    } else {
        nanosecond
    };
    time.saturating_sub(SignedDuration::from_nanos(i64::from(back)))
        .unwrap_or(time)
}

/// Begins the running pass anew: Amazon does not take its page token any more.
pub(crate) fn restart(checkpoint: &mut Checkpoint) {
    checkpoint.pass_before = None;
    checkpoint.page_token = None;
}

/// Moves behind a page; returns whether it was the pass's last.
///
/// The pass is complete up to what its first page said: later pages may say a later time, and nobody promises that
/// changes between the two are on them.
pub(crate) fn advance(
    checkpoint: &mut Checkpoint,
    next: Option<&PaginationToken>,
    complete_until: Option<Timestamp>,
) -> bool {
    if checkpoint.page_token.is_none() {
        checkpoint.pass_before = complete_until;
    }
    if let Some(next) = next {
        checkpoint.page_token = Some(next.as_str().to_owned());
        return false;
    }
    // Without any word from Amazon the next pass begins where this one did: more than needed, never less.
    let reached = checkpoint.pass_before.or(checkpoint.pass_after);
    checkpoint.watermark = checkpoint.watermark.max(reached);
    checkpoint.pass_after = None;
    restart(checkpoint);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + hour * 3_600).expect("a time")
    }

    #[test]
    fn the_next_pass_begins_where_the_first_page_of_the_last_one_said_it_was_complete() {
        let mut checkpoint = Checkpoint::default();
        begin(&mut checkpoint, None, at(0));
        let token = PaginationToken::new("next".to_owned());
        assert!(!advance(&mut checkpoint, Some(&token), Some(at(1))));
        assert!(advance(&mut checkpoint, None, Some(at(2))));
        assert_eq!(checkpoint.watermark, Some(at(1)));
        begin(&mut checkpoint, None, at(24));
        assert_eq!(
            (checkpoint.pass_after, checkpoint.page_token),
            (Some(at(1)), None)
        );
    }

    #[test]
    fn a_pass_begins_at_a_time_that_survives_being_stored() {
        let mut checkpoint = Checkpoint::default();
        let now: Timestamp = "2026-11-24T14:06:40.559040123Z".parse().expect("a time");
        begin(&mut checkpoint, Some(now), now);
        assert_eq!(checkpoint.pass_after, "2026-11-24T14:06:40Z".parse().ok());
    }

    #[test]
    fn a_running_pass_goes_on_unless_the_job_wants_more() {
        let mut checkpoint = Checkpoint::default();
        checkpoint.pass_after = Some(at(5));
        checkpoint.page_token = Some("page 7".to_owned());
        begin(&mut checkpoint, None, at(9));
        begin(&mut checkpoint, Some(at(6)), at(9));
        assert_eq!(checkpoint.page_token.as_deref(), Some("page 7"));
        begin(&mut checkpoint, Some(at(2)), at(9));
        assert_eq!(
            (checkpoint.pass_after, checkpoint.page_token),
            (Some(at(2)), None)
        );
    }

    #[test]
    fn a_pass_over_history_does_not_move_the_watermark_back() {
        let mut checkpoint = Checkpoint::default();
        checkpoint.watermark = Some(at(10));
        begin(&mut checkpoint, Some(at(1)), at(11));
        assert!(advance(&mut checkpoint, None, Some(at(9))));
        assert_eq!(checkpoint.watermark, Some(at(10)));
    }
}
