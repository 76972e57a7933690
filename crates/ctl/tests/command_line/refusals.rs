//! Wrong inputs: the exit code, and a line that says what to do.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::fleet::Fleet;

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_nearest_one() {
    let fleet = Fleet::with_a_shop().await;
    let error = fleet.refuses(&["connection", "list", "--tenant", "acmee"], 5);
    assert_eq!(
        error,
        "error: there is no tenant `acmee`; did you mean `acme`?\n"
    );
    let error = fleet.refuses(&["connection", "pause", "--connection", "acme/shp"], 5);
    assert_eq!(
        error,
        "error: there is no connection `acme/shp`; did you mean `acme/shop`?\n"
    );
    let error = fleet.refuses(&["enqueue", "sync", "--connection", "umbrella"], 5);
    assert_eq!(
        error,
        "error: there is no connection `umbrella`; there is shop\n"
    );
    let unknown = "00000000-0000-0000-0000-000000000001";
    for command in ["show", "retry", "cancel"] {
        let error = fleet.refuses(&["jobs", command, unknown], 5);
        assert!(error.contains("`bulkhead jobs list` shows ids"), "{error}");
    }
}

#[tokio::test]
async fn a_taken_name_is_named() {
    let fleet = Fleet::with_a_shop().await;
    let error = fleet.refuses(&["tenant", "add", "acme"], 1);
    assert_eq!(
        error,
        "error: there is a tenant `acme` already: choose another name\n"
    );
}

#[tokio::test]
async fn flags_and_values_that_do_not_exist_are_suggested() {
    let fleet = Fleet::start().await;
    let error = fleet.refuses(&["tenant", "add", "acme", "--nightly-att", "02:00"], 2);
    assert!(error.contains("--nightly-at"), "{error}");
    let error = fleet.refuses(&["jobs", "list", "--state", "deed"], 2);
    assert!(error.contains("'dead'"), "{error}");
    let error = fleet.refuses(&["tenent", "list"], 2);
    assert!(error.contains("'tenant'"), "{error}");
    let error = fleet.refuses(&["enqueue", "sync", "--all", "--since", "2999-01-01"], 2);
    assert!(error.contains("lies in the future"), "{error}");
}

#[tokio::test]
async fn a_keyring_that_others_may_read_is_refused() {
    let mut fleet = Fleet::start().await;
    let keyring = fleet.path("keys/cli.toml");
    fs::set_permissions(&keyring, fs::Permissions::from_mode(0o644)).unwrap();
    let command = [
        "application",
        "add",
        "night-run",
        "--client-id",
        "amzn1.application-oa2-client.1",
    ];
    let error = fleet.refuses(&command, 4);
    assert!(error.contains("cli.toml"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    // The sync workers' keyring cannot seal a client secret.
    let other = fleet.path("keys/sync.toml").display().to_string();
    fleet.set("BULKHEAD_VAULT__KEYRING", other);
    fleet.refuses(&command, 4);
}

#[tokio::test]
async fn an_unknown_setting_is_refused_with_the_nearest_one() {
    let fleet = Fleet::start().await;
    let file = fleet.write(
        "fleet.toml",
        "[postgres]\nurll = \"postgres://localhost/x\"\n",
    );
    let error = fleet.refuses(&["--config", &file, "tenant", "list"], 2);
    assert!(error.contains("did you mean postgres.url?"), "{error}");
}

#[tokio::test]
async fn a_login_that_is_not_the_operators_is_refused() {
    let mut fleet = Fleet::start().await;
    fleet.set(
        "BULKHEAD_POSTGRES__URL",
        fleet.database.url("bulkhead_sync"),
    );
    let error = fleet.refuses(&["tenant", "list"], 2);
    assert!(
        error.contains("must log in to Postgres as bulkhead_operator"),
        "{error}"
    );
    fleet.set("BULKHEAD_POSTGRES__URL", fleet.database.admin_url());
    let error = fleet.refuses(&["tenant", "list"], 2);
    assert!(error.contains("superuser"), "{error}");
}

#[tokio::test]
async fn keys_are_never_overwritten() {
    let fleet = Fleet::start().await;
    let folder = fleet.path("keys").display().to_string();
    let before = fs::read(fleet.path("keys/keyring.toml")).unwrap();
    let error = fleet.refuses(&["keys", "generate", "--dir", &folder], 1);
    assert!(error.contains("keyring.toml exists"), "{error}");
    assert_eq!(fs::read(fleet.path("keys/keyring.toml")).unwrap(), before);
    for file in ["keyring.toml", "cli.toml", "sync.toml", "token.toml"] {
        let mode = fs::metadata(fleet.path("keys").join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn what_is_no_id_is_answered_with_what_an_id_looks_like() {
    let fleet = Fleet::start().await;
    for command in ["show", "retry", "cancel"] {
        let error = fleet.refuses(&["jobs", command, "nope"], 2);
        let line = error.lines().next().unwrap();
        assert!(
            line.starts_with("error: invalid value 'nope'")
                && line.contains("looks like 6f1c2d7e-3b1a")
                && line.contains("`bulkhead jobs list` shows ids"),
            "{error}"
        );
    }
}
