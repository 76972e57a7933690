//! The standing conformance test: what arrives at Amazon against a model of Amazon's own buckets, for random plans,
//! arrivals, pauses, steps of the clock and new lives of Redis. And what must not pass it: each protection removed.

mod case;
mod server_bucket;
mod step;
mod verdict;
mod world;

use std::cell::Cell;

use proptest::test_runner::{TestCaseError, TestError};

use self::{
    case::{Case, cases},
    world::{Mutant, World},
};
use crate::{
    fixture::Fixture,
    random::{runner, unshrinking},
};

async fn conforms(
    redis: Fixture,
    case: &Case,
    mutant: Mutant,
) -> (Fixture, Result<(), TestCaseError>) {
    let mut world = World::begin(redis, case, mutant).await;
    let mut result = Ok(());
    for step in &case.steps {
        result = world.run(step).await;
        if result.is_err() {
            break;
        }
    }
    if result.is_ok() {
        result = world.keeps_up(case).await;
    }
    if result.is_ok()
        && let Some(refused) = world.refused(case)
    {
        result = Err(TestCaseError::fail(format!("429 for {refused}")));
    }
    (world.fixture, result)
}

/// Tries random cases; the first that does not conform ends it.
fn search(most: u32, mutant: Mutant) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let redis = Cell::new(Some(runtime.block_on(Fixture::start())));
    let mut runner = runner(most);
    if mutant != Mutant::None {
        runner = unshrinking(most);
    }
    let result = runner.run(&cases(), |case| {
        let given = redis.take().unwrap();
        let (given, result) = runtime.block_on(conforms(given, &case, mutant));
        redis.set(Some(given));
        result
    });
    match result {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, case)) => Err(format!("{why}: {case:#?}")),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn no_call_is_over_amazons_limits_whatever_happens_and_all_of_the_plan_is_used() {
    let cases = if std::env::var_os("BULKHEAD_LONG").is_some() {
        5_000
    } else {
        250
    };
    if let Err(why) = search(cases, Mutant::None) {
        panic!("{why}");
    }
}

/// A fleet that lacks a protection is found out by a case that the fleet as it is passes.
fn is_found_out(mutant: Mutant) {
    let why = search(2_000, mutant).expect_err("it conforms");
    println!("{mutant:?}: {}", why.lines().next().unwrap_or_default());
}

#[test]
fn without_the_clamp_it_does_not_conform() {
    is_found_out(Mutant::Without("clock_that_went_back"));
}

#[test]
fn with_buckets_that_start_full_it_does_not_conform() {
    is_found_out(Mutant::Without("buckets_start_empty"));
}

#[test]
fn with_grants_that_end_a_while_after_they_are_written_it_does_not_conform() {
    is_found_out(Mutant::Without("grant_is_absolute"));
}

#[test]
fn with_grants_that_do_not_end_it_does_not_conform() {
    is_found_out(Mutant::Without("grant_ends"));
}

#[test]
fn by_the_callers_clock_it_does_not_conform() {
    is_found_out(Mutant::CallersClock);
}

#[test]
fn with_a_deadline_that_is_not_checked_it_does_not_conform() {
    is_found_out(Mutant::Without("deadline"));
}

#[test]
fn with_one_of_two_buckets_taken_it_does_not_conform() {
    is_found_out(Mutant::Without("both_are_taken"));
}

#[test]
fn with_shards_that_do_not_take_turns_it_does_not_conform() {
    is_found_out(Mutant::Without("shards_take_turns"));
}

#[test]
fn with_a_clock_that_nobody_watches_it_does_not_conform() {
    is_found_out(Mutant::Without("unwatched_clock_empties"));
}
