//! The whole broker beside a model of it, on a real Redis: random lives of jobs, workers that crash, answers that are
//! lost, operators who hold and cancel. After every step each job is in the one place where the model has it, operators
//! see what is so, and every answer was one that the model allows.

mod check;
mod enqueue;
mod fetch;
mod places;
mod settings;
mod state;
mod system;
mod transition;
mod translation;
mod wakes;

use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use self::{
    system::{Server, System},
    transition::Operations,
};
use crate::random::runner;

/// `BULKHEAD_MODEL_CASES` says how many; `./dev test --long` runs more.
fn cases() -> u32 {
    let given = std::env::var("BULKHEAD_MODEL_CASES").ok();
    let is_long = std::env::var_os("BULKHEAD_LONG").is_some();
    given.map_or(if is_long { 1_000 } else { 150 }, |text| {
        text.parse().unwrap()
    })
}

#[test]
fn a_job_is_never_in_two_places_or_in_none_and_every_answer_is_one_that_the_model_allows() {
    Server::lend(|| {
        let mut runner = runner(cases());
        let config = runner.config().clone();
        let lives = Operations::sequential_strategy(1..100);
        let found = runner.run(&lives, |(settings, transitions, seen)| {
            System::test_sequential(config.clone(), settings, transitions, seen);
            Ok(())
        });
        if let Err(error) = found {
            panic!("{error}");
        }
    });
}
