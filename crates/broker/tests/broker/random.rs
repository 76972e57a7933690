//! Random cases that can be repeated.

use proptest::test_runner::{Config, RngSeed, TestRunner};

/// A runner whose seed is printed; `BULKHEAD_TEST_SEED` repeats it.
pub(crate) fn runner(cases: u32) -> TestRunner {
    shrinking(cases, u32::MAX)
}

/// The same for cases that are expected to fail: the first one is as good as a smaller one.
pub(crate) fn unshrinking(cases: u32) -> TestRunner {
    shrinking(cases, 0)
}

fn shrinking(cases: u32, max_shrink_iters: u32) -> TestRunner {
    let given = std::env::var("BULKHEAD_TEST_SEED").ok();
    let seed = given.map_or_else(
        || uuid::Uuid::new_v4().as_u64_pair().0,
        |text| text.parse().unwrap(),
    );
    println!("BULKHEAD_TEST_SEED={seed}");
    TestRunner::new(Config {
        cases,
        max_shrink_iters,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    })
}
