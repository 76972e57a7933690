//! Builds the crate again when a migration is added: `sqlx::migrate!` notices changed files, not new ones.

#[expect(clippy::print_stdout, reason = "how a build script speaks to cargo")]
fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
