//! A process that cannot work does not start: it says why in one line, ends with the documented code, and has done
//! nothing.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    process::Output,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bulkhead_devstack::fleet::{Fleet, MemberOptions};

use crate::support::{TestNight, quick};

const CLASSES: [&str; 3] = ["scheduler", "sync", "token"];

const CONFIGURATION: i32 = 2;
const DEPENDENCY: i32 = 3;
const KEYRING: i32 = 4;

/// A process gives up a dependency that hangs after five seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// One way in which a start is refused.
struct Refusal {
    what: &'static str,
    /// Each must be in the error line.
    says: Vec<&'static str>,
    code: i32,
    options: MemberOptions,
}

fn refusal(
    what: &'static str,
    code: i32,
    says: &[&'static str],
    options: MemberOptions,
) -> Refusal {
    Refusal {
        what,
        says: says.to_vec(),
        code,
        options,
    }
}

fn with(key: &str, value: &str) -> MemberOptions {
    MemberOptions::default().set(key, value)
}

#[tokio::test]
async fn a_malformed_configuration_is_refused_before_anything_starts() -> Result<()> {
    let night = TestNight::onboarded(quick(1, 10)).await?;
    let whole = fs::read_to_string(night.fleet.configuration())?;
    let changed = |name: &str, text: &str| -> Result<MemberOptions> {
        let path = night.fleet.folder.join(name);
        fs::write(&path, text)?;
        Ok(MemberOptions::default().configured_by(&path))
    };
    let refusals = [
        refusal(
            "a file that is not TOML",
            CONFIGURATION,
            &["syntax.toml:", "not valid TOML"],
            changed("syntax.toml", &whole.replacen("[amazon]", "[amazon", 1))?,
        ),
        refusal(
            "a file that is not there",
            CONFIGURATION,
            &["absent.toml", "cannot be read"],
            MemberOptions::default().configured_by(&night.fleet.folder.join("absent.toml")),
        ),
        refusal(
            "a misspelt setting",
            CONFIGURATION,
            &["misspelt.toml:", "jitter_msec", "did you mean", "jitter_ms"],
            changed("misspelt.toml", &whole.replace("jitter_ms", "jitter_msec"))?,
        ),
        refusal(
            "a misspelt variable",
            CONFIGURATION,
            &[
                "BULKHEAD_BROKER__SHARD",
                "did you mean",
                "BULKHEAD_BROKER__SHARDS",
            ],
            with("broker.shard", "4"),
        ),
        refusal(
            "a text where a number belongs",
            CONFIGURATION,
            &["type.toml:", "broker.visibility_timeout_ms"],
            changed(
                "type.toml",
                &whole.replace(
                    "visibility_timeout_ms = 2000",
                    "visibility_timeout_ms = \"two seconds\"",
                ),
            )?,
        ),
        refusal(
            "a missing setting",
            CONFIGURATION,
            &["redis.url"],
            MemberOptions::default().without("redis.url"),
        ),
    ];
    all_refused(&night, &CLASSES, &refusals).await?;
    nothing_was_done(&night).await
}

#[tokio::test]
async fn a_wrong_keyring_is_refused_before_anything_starts() -> Result<()> {
    let night = TestNight::onboarded(quick(1, 10)).await?;
    let keyring = |class: &str| night.fleet.keyring(class).display().to_string();
    let loose = night.fleet.folder.join("loose.toml");
    let torn = night.fleet.folder.join("torn.toml");
    for class in ["sync", "token"] {
        let other = if class == "sync" { "token" } else { "sync" };
        fs::copy(night.fleet.keyring(class), &loose)?;
        fs::set_permissions(&loose, Permissions::from_mode(0o640))?;
        let text = fs::read_to_string(night.fleet.keyring(class))?;
        fs::write(&torn, text.replacen("public = \"", "public = \"AAAA", 1))?;
        fs::set_permissions(&torn, Permissions::from_mode(0o600))?;
        let refusals = [
            refusal(
                "a keyring that is not there",
                KEYRING,
                &["absent.toml"],
                with("vault.keyring", "/nowhere/absent.toml"),
            ),
            refusal(
                "a keyring that others may read",
                KEYRING,
                &["loose.toml", "0640", "chmod 600"],
                with("vault.keyring", &loose.display().to_string()),
            ),
            refusal(
                "a keyring with a broken key",
                KEYRING,
                &["torn.toml", "`public`"],
                with("vault.keyring", &torn.display().to_string()),
            ),
            refusal(
                "another class's keyring",
                KEYRING,
                &["no keys for"],
                with("vault.keyring", &keyring(other)),
            ),
            refusal(
                "a keyring that only seals",
                KEYRING,
                &["cli.toml"],
                with("vault.keyring", &keyring("cli")),
            ),
            refusal(
                "another environment's keyring",
                KEYRING,
                &["`development`", "`staging`"],
                with("vault.environment", "staging"),
            ),
        ];
        all_refused(&night, &[class], &refusals).await?;
    }
    nothing_was_done(&night).await
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_or_is_not_right_is_refused_before_anything_starts()
-> Result<()> {
    let night = TestNight::onboarded(quick(1, 10)).await?;
    sqlx::raw_sql("create database empty")
        .execute(&night.pool)
        .await?;
    let nobody_listens = {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        format!("127.0.0.1:{port}")
    };
    // At the same time: a Postgres that is not there is waited for, for five seconds.
    let refused = async |class: &'static str| {
        let refusals = wrong_stores(&night.fleet, class, &nobody_listens);
        all_refused(&night, &[class], &refusals).await
    };
    tokio::try_join!(refused("scheduler"), refused("sync"), refused("token"))?;
    nothing_was_done(&night).await
}

fn wrong_stores(fleet: &Fleet, class: &str, nobody_listens: &str) -> Vec<Refusal> {
    let role = format!("bulkhead_{class}");
    let other = if class == "sync" { "token" } else { "sync" };
    vec![
        refusal(
            "a Redis that is not there",
            DEPENDENCY,
            &["Redis cannot be reached at redis://"],
            with("redis.url", &format!("redis://{nobody_listens}")),
        ),
        refusal(
            "a Redis whose socket is not there",
            DEPENDENCY,
            &["Redis cannot be reached at redis+unix://"],
            with("redis.url", "redis+unix:///nowhere/redis.sock"),
        ),
        refusal(
            "a Postgres that is not there",
            DEPENDENCY,
            &["Postgres cannot be reached at postgres://"],
            with(
                "postgres.url",
                &format!("postgres://{role}:hunter2@{nobody_listens}/bulkhead"),
            ),
        ),
        refusal(
            "a database that is not there",
            CONFIGURATION,
            &["bulkhead migrate"],
            with("postgres.url", &fleet.postgres.url(&role, "absent")),
        ),
        refusal(
            "a database that is not migrated",
            CONFIGURATION,
            &["run `bulkhead migrate`"],
            with("postgres.url", &fleet.postgres.url(&role, "empty")),
        ),
        refusal(
            "a superuser",
            CONFIGURATION,
            &["is a superuser", "row-level security"],
            with("postgres.url", &fleet.admin_url()),
        ),
        refusal(
            "another class's login",
            CONFIGURATION,
            &["must log in to Postgres as"],
            with(
                "postgres.url",
                &fleet.role_url(&format!("bulkhead_{other}")),
            ),
        ),
    ]
}

#[tokio::test]
async fn a_store_that_hangs_is_given_up_and_named() -> Result<()> {
    let night = TestNight::onboarded(quick(1, 10)).await?;
    let fleet = &night.fleet;
    let redis = refusal(
        "a Redis that hangs",
        DEPENDENCY,
        &["Redis cannot be reached at redis+unix://"],
        MemberOptions::default(),
    );
    fleet.redis.stop();
    let ended = tokio::join!(
        is_refused(fleet, "scheduler", &redis),
        is_refused(fleet, "sync", &redis),
        is_refused(fleet, "token", &redis)
    );
    fleet.redis.cont();
    ended.0.and(ended.1).and(ended.2)?;
    let postgres = refusal(
        "a Postgres that hangs",
        DEPENDENCY,
        &["Postgres cannot be reached at postgres://"],
        with("postgres.acquire_timeout_ms", "1000"),
    );
    fleet.postgres.stop();
    let ended = tokio::join!(
        is_refused(fleet, "scheduler", &postgres),
        is_refused(fleet, "sync", &postgres),
        is_refused(fleet, "token", &postgres)
    );
    fleet.postgres.cont();
    ended.0.and(ended.1).and(ended.2)?;
    nothing_was_done(&night).await
}

async fn all_refused(night: &TestNight, classes: &[&str], refusals: &[Refusal]) -> Result<()> {
    for refusal in refusals {
        for class in classes {
            is_refused(&night.fleet, class, refusal).await?;
        }
    }
    Ok(())
}

async fn is_refused(fleet: &Fleet, class: &str, refusal: &Refusal) -> Result<()> {
    let name = format!("refused-{class}");
    let command = fleet.member_command(class, &name, &refusal.options)?;
    let mut command = tokio::process::Command::from(command);
    // One that starts after all is not left behind.
    let running = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(ENDS_WITHIN, running).await;
    let output = output.with_context(|| format!("{class} started with {}", refusal.what))??;
    judge(&output, refusal).with_context(|| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        format!("{class} with {}: {}: {stderr}", refusal.what, output.status)
    })
}

/// One line on standard error that says what is wrong; around it at most the log's word that the process began and
/// stopped.
fn judge(output: &Output, refusal: &Refusal) -> Result<()> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let (errors, others): (Vec<&str>, Vec<&str>) =
        stderr.lines().partition(|line| line.starts_with("error: "));
    ensure!(
        output.status.code() == Some(refusal.code),
        "not code {}",
        refusal.code
    );
    ensure!(errors.len() == 1, "{} error lines", errors.len());
    for part in &refusal.says {
        ensure!(errors[0].contains(part), "does not say {part:?}");
    }
    ensure!(!stderr.contains("hunter2"), "shows a password");
    ensure!(output.stdout.is_empty(), "wrote to standard output");
    for line in others {
        let event: serde_json::Value =
            serde_json::from_str(line).with_context(|| format!("another line: {line}"))?;
        ensure!(event["level"] == "INFO", "another complaint: {line}");
    }
    Ok(())
}

/// No process has asked Amazon, put anything into Redis or changed what is owed.
async fn nothing_was_done(night: &TestNight) -> Result<()> {
    ensure!(night.fleet.amazon.counts().await?.requests == 0);
    ensure!(night.fleet.redis.command("DBSIZE")? == ":0");
    let begun = "select count(*) from bulkhead.obligations where state <> 'owed' or claimed_until is not null";
    ensure!(night.number(begun).await? == 0);
    let sessions = "select count(*) from pg_stat_activity where application_name like 'bulkhead-%'";
    night.until(sessions, 0).await
}
