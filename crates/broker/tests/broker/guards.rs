//! Every guard of the scripts is needed: without it a test fails. The guards are marked in `lua/`, see `src/mutants.rs`.

use std::{
    collections::BTreeSet,
    thread::{self, JoinHandle},
};

use bulkhead_broker::mutants;

use crate::{
    bounds, caps, crashes, enqueue, failover, fairness, fences, fetches, fixture::MUTANT, forward,
    ghosts, grants, leases, operators, paces, permits, plans, shares,
};

/// A guard, and a test that fails without it.
struct Shown {
    guard: &'static str,
    by: &'static str,
    test: fn(),
}

macro_rules! shown {
    ($($guard:ident $module:ident::$test:ident)*) => {
        const SHOWN: &[Shown] = &[$(Shown {
            guard: stringify!($guard),
            by: stringify!($test),
            test: $module::$test,
        }),*];
    };
}

shown! {
    // Leases.
    newest_lease_acknowledges leases::a_fenced_worker_cannot_complete
    newest_lease_renews leases::a_fenced_worker_cannot_complete
    newest_lease_forgives crashes::a_job_that_gets_on_is_forgiven_the_crashes_before_but_not_by_an_older_lease
    one_end_in_a_batch leases::a_batch_that_names_a_lease_twice_ends_it_once
    expired_lease_is_lost leases::an_expired_lease_is_lost_even_before_it_is_reaped
    only_the_expired leases::an_expired_lease_is_lost_even_before_it_is_reaped
    few_reaped_at_once leases::reaping_is_bounded_and_keeps_the_order
    // Fetching.
    sequence_rises fetches::a_sequence_number_is_not_used_again
    same_sequence_same_jobs fetches::a_lost_fetch_reply_is_answered_again
    answered_again_while_held fetches::a_repeated_fetch_does_not_bring_what_another_worker_holds
    token_above_the_last fetches::tokens_rise_though_the_clock_goes_back_or_everything_is_lost
    token_above_a_forgotten_one fetches::tokens_rise_though_the_clock_goes_back_or_everything_is_lost
    few_wake_at_once fetches::a_fetch_moves_a_bounded_number_of_jobs_and_lanes_whose_time_has_come
    few_ghosts_at_once ghosts::a_fetch_clears_a_bounded_number_of_entries_that_stand_for_no_job
    rest_earns_nothing fairness::a_tenant_that_comes_late_begins_level_with_the_others
    rest_forgives_nothing fairness::a_tenant_that_rests_between_jobs_gets_no_more_than_its_share
    // Lanes that wait.
    parked_lane_waits fairness::pausing_and_parking_are_independent
    paused_lane_waits fairness::pausing_and_parking_are_independent
    parking_takes_out fairness::a_parked_lane_does_not_hold_back_others_and_its_jobs_are_not_touched
    latest_time_parks fairness::a_lane_stays_parked_until_the_latest_time_that_was_said
    pause_takes_out fairness::a_paused_lane_keeps_its_jobs_until_it_is_resumed
    hold_takes_out fairness::a_held_tenant_keeps_its_jobs_and_others_go_on
    held_tenant_waits fairness::a_tenant_that_is_held_before_its_first_job_waits_too_and_leaves_nothing_behind
    only_with_ready_lanes fairness::a_tenant_that_is_held_before_its_first_job_waits_too_and_leaves_nothing_behind
    held_class_waits fairness::a_held_class_hands_out_nothing_and_says_when_it_goes_on
    // Caps.
    cap_of_connection caps::a_lowered_cap_leases_nothing_until_it_is_below_and_a_raised_one_does_at_once
    cap_of_tenant caps::a_lowered_cap_leases_nothing_until_it_is_below_and_a_raised_one_does_at_once
    cap_counts_what_was_before caps::the_first_cap_counts_what_is_in_flight_already_and_the_last_leaves_nothing_behind
    ended_makes_room caps::a_lease_that_ends_brings_its_lane_back_and_wakes_who_waits
    reaped_makes_room caps::a_lease_that_ends_brings_its_lane_back_and_wakes_who_waits
    // Enqueueing.
    high_water enqueue::a_full_queue_refuses_new_jobs_and_still_takes_acknowledgements
    tenant_high_water bounds::a_full_tenants_jobs_are_refused_one_by_one_and_others_go_in
    only_what_ended_gives_back bounds::a_batch_of_acknowledgements_of_which_some_do_not_count_gives_back_what_ended
    moved_leaves_a_ghost forward::a_queued_or_delayed_job_gets_the_more_urgent_priority_and_runs_once
    running_is_not_moved forward::a_running_job_is_left_alone_and_an_absent_one_is_enqueued
    one_life_at_a_time enqueue::a_job_is_deduplicated_while_it_lives_and_no_longer
    living_is_not_pushed_again enqueue::a_batch_pushes_only_those_that_do_not_live
    living_is_not_delayed_again enqueue::a_batch_pushes_only_those_that_do_not_live
    not_before_its_time fetches::a_delayed_job_runs_at_its_time_by_redis_and_the_fetch_says_when
    dead_letter_is_superseded operators::a_dead_letter_is_superseded_by_its_job_or_discarded
    new_life_forgives operators::a_dead_letter_is_superseded_by_its_job_or_discarded
    // Entries that stand for no job.
    ghosts_do_not_run ghosts::a_cancel_looks_at_few_entries_and_leaves_the_order_as_it_is
    ghosts_are_swept ghosts::cancelling_in_a_held_lane_leaves_no_more_entries_than_it_has_jobs
    few_swept_at_once ghosts::a_cancel_looks_at_few_entries_and_leaves_the_order_as_it_is
    swept_comes_first ghosts::a_cancel_looks_at_few_entries_and_leaves_the_order_as_it_is
    first_is_before_the_swept ghosts::a_released_job_goes_before_those_that_were_swept
    old_place_is_taken_again ghosts::a_job_that_is_cancelled_and_comes_again_takes_its_place_again
    // Crashes.
    crashes_end crashes::three_crashes_quarantine_a_job_with_the_workers_that_died_on_it
    crashes_in_company_end crashes::jobs_that_shared_a_worker_survive_three_crashes_and_are_then_run_apart
    company_is_not_solitude crashes::jobs_that_shared_a_worker_survive_three_crashes_and_are_then_run_apart
    full_batch_is_not_solitude crashes::a_reaping_of_a_few_at_a_time_does_not_take_company_for_solitude
    suspects_run_apart crashes::jobs_that_shared_a_worker_survive_three_crashes_and_are_then_run_apart
    history_ends crashes::the_history_of_a_job_keeps_its_last_ten_incidents
    // Operators.
    running_is_told operators::a_cancel_of_a_running_job_is_told_by_renewal_and_ends_with_its_lease
    renewal_tells_of_a_cancel operators::a_cancel_of_a_running_job_is_told_by_renewal_and_ends_with_its_lease
    cancelled_is_forgotten operators::a_cancel_of_a_running_job_is_told_by_renewal_and_ends_with_its_lease
    completed_is_not_cancelled_later operators::a_cancel_of_a_running_job_is_told_by_renewal_and_ends_with_its_lease
    cancelled_does_not_come_back operators::a_cancelled_job_whose_worker_crashes_does_not_come_back
    delayed_leaves_no_ghost operators::a_delayed_job_that_was_cancelled_can_come_again
    living_is_not_redriven operators::a_dead_letter_of_a_job_that_lives_stays_where_it_is
    redrive_forgives operators::a_dead_letter_keeps_its_reason_and_history_and_can_be_redriven
    // Permits.
    boot_nonce fences::after_a_loss_permits_stop_until_a_nonce_is_established_and_tokens_keep_rising
    vouched_on_this_server failover::a_replica_that_took_over_has_no_nonce_and_permits_stop_until_it_has_one
    nonce_is_of_this_server failover::a_replica_that_took_over_has_no_nonce_and_permits_stop_until_it_has_one
    floor_raises fences::after_a_loss_permits_stop_until_a_nonce_is_established_and_tokens_keep_rising
    floor_only_raises fences::after_a_loss_permits_stop_until_a_nonce_is_established_and_tokens_keep_rising
    same_nonce_empties_nothing permits::the_same_nonce_again_empties_no_bucket
    stopped_application fences::a_tombstone_stops_its_scope_and_only_it
    stopped_tenant fences::a_tombstone_stops_its_scope_and_only_it
    stopped_connection fences::a_tombstone_stops_its_scope_and_only_it
    newest_lease_calls fences::only_the_newest_unexpired_lease_is_permitted_to_call
    expired_lease_does_not_call fences::only_the_newest_unexpired_lease_is_permitted_to_call
    budget permits::a_new_nonce_empties_every_bucket
    clock_that_went_back permits::a_clock_that_goes_back_does_not_shut_a_bucket_for_as_long
    grant_of_a_later_clock grants::a_clock_that_goes_back_ends_the_grant_and_one_that_goes_forward_too
    grant_ends grants::without_a_grant_nothing_is_permitted_and_one_ends_by_itself
    current_epoch grants::after_a_release_only_credentials_that_were_read_since_are_permitted
    both_are_taken shares::of_two_buckets_both_are_taken_or_none
    shards_take_turns shares::shards_whose_part_is_less_than_one_call_take_turns
    backfill_leaves_half shares::a_backfill_leaves_half_of_the_burst_to_the_night
    buckets_start_empty permits::a_bucket_starts_empty_and_fills_up_to_the_usable_burst
    grant_of_this_life grants::a_grant_of_an_earlier_life_of_redis_counts_for_nothing
    grant_is_absolute grants::a_grantor_that_was_paused_after_it_asked_postgres_grants_nothing
    longer_grant_stays grants::a_grantor_that_was_paused_after_it_asked_postgres_grants_nothing
    unwatched_clock_empties grants::a_grantor_that_does_not_know_whether_the_clock_was_set_forward_empties_the_buckets
    epochs_only_rise grants::after_a_release_only_credentials_that_were_read_since_are_permitted
    released_is_not_stopped_again grants::after_a_release_only_credentials_that_were_read_since_are_permitted
    late_release grants::after_a_release_only_credentials_that_were_read_since_are_permitted
    first_refusal_leaves_the_rate plans::two_refusals_shortly_after_one_another_take_a_tenth_of_the_rate_and_it_comes_back
    refusals_teach_a_pace paces::where_nothing_is_published_a_connection_settles_at_the_pace_that_amazon_lets_through
    sightings_apart plans::a_higher_rate_holds_after_three_sightings_in_a_row_and_then_the_least_of_them
    three_sightings plans::a_higher_rate_holds_after_three_sightings_in_a_row_and_then_the_least_of_them
    steps_go_on plans::refusals_that_never_pause_for_a_second_step_down_once_a_second
    one_step_down_a_second permits::a_refusal_by_amazon_empties_the_bucket_and_steps_down_by_one
}

#[test]
fn every_guard_of_the_scripts_has_a_test() {
    let shown: BTreeSet<&str> = SHOWN.iter().map(|one| one.guard).collect();
    assert_eq!(shown.len(), SHOWN.len(), "one line for each guard");
    assert_eq!(shown, mutants::guards().into_iter().collect());
}

#[test]
fn the_readme_lists_every_guard_with_its_test() {
    let readme = include_str!("../../README.md");
    for Shown { guard, by, .. } in SHOWN {
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{guard}` |")));
        assert!(
            row.is_some_and(|row| row.contains(&format!("`{by}`"))),
            "{guard}: {by}"
        );
    }
}

#[test]
fn without_any_one_of_its_guards_the_broker_fails_a_test() {
    let mut wrong = Vec::new();
    // Most of the time they wait for a Redis of their own to start.
    for some in SHOWN.chunks(4) {
        let runs = some.iter().map(|one| (one.guard, run_without(one)));
        for (guard, run) in runs.collect::<Vec<_>>() {
            match failure(run) {
                None => wrong.push(format!("{guard}: its test passes without it")),
                // That a mutant is no script any more shows nothing.
                Some(why) if why.contains("user_script") => wrong.push(format!("{guard}: {why}")),
                Some(why) => println!("without {guard}: {}", why.replace('\n', " ")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Runs a test on scripts without a guard.
fn run_without(shown: &Shown) -> JoinHandle<()> {
    let (guard, test) = (shown.guard, shown.test);
    thread::spawn(move || {
        MUTANT.set(Some(guard));
        test();
    })
}

/// Why a test failed.
fn failure(run: JoinHandle<()>) -> Option<String> {
    let payload = run.join().err()?;
    let formatted = payload.downcast_ref::<String>().cloned();
    let fixed = payload.downcast_ref::<&str>().map(ToString::to_string);
    Some(formatted.or(fixed).unwrap_or_default())
}
