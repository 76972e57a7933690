//! Secrets go in by file, pipe or prompt, and come out nowhere.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Command, Stdio},
};

use bulkhead_devstack::psql;
use bulkhead_domain::TenantId;
use bulkhead_vault::{Context, Keyring, RefreshTokens, Sealed};
use nix::pty::openpty;

use crate::fleet::{Fleet, Ran};

const TOKEN: &str = "Atzr|canary-refresh-token";
const SECRET: &str = "amzn1.oa2-cs.v1.canary-client-secret";

fn add_application(fleet: &Fleet, secret: &str) -> Ran {
    let command = [
        "application",
        "add",
        "night-run",
        "--client-id",
        "amzn1.application-oa2-client.1",
    ];
    fleet.run_with(&command, secret)
}

fn add_connection(fleet: &Fleet, more: &[&str], input: &str) -> Ran {
    let command = [
        "connection",
        "add",
        "shop",
        "--tenant",
        "acme",
        "--application",
        "night-run",
        "--seller-id",
        "A1",
        "--region",
        "eu",
        "--marketplace",
        "A1PA6795UKMFR9",
    ];
    fleet.run_with(&[&command, more].concat(), input)
}

/// Everything in the database, as SQL.
fn dump(fleet: &Fleet) -> String {
    let program = psql().unwrap().with_file_name("pg_dump");
    let output = Command::new(program)
        .arg("--inserts")
        .arg(fleet.database.admin_url())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn no_secret_is_printed_or_stored_in_clear() {
    let fleet = Fleet::start().await;
    fleet.answers(&["tenant", "add", "acme"]);
    let file = fleet.write("token", &format!("{TOKEN}\n"));
    let ran = [
        add_application(&fleet, SECRET),
        add_connection(&fleet, &["--refresh-token-file", &file], ""),
        fleet.run_with(&["connection", "reauthorize", "shop"], TOKEN),
        fleet.run(&["connection", "list", "--json"]),
        fleet.run(&["jobs", "list", "--json"]),
    ];
    for ran in &ran {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
    }
    let dump = dump(&fleet);
    assert!(
        dump.contains("INSERT INTO bulkhead.refresh_tokens"),
        "the dump holds no rows"
    );
    for text in ["canary", &hex("canary")] {
        assert!(!dump.contains(text), "{text} is in the dump");
    }
}

#[tokio::test]
async fn only_the_token_workers_key_opens_what_was_sealed() {
    let fleet = Fleet::start().await;
    fleet.answers(&["tenant", "add", "acme"]);
    assert_eq!(add_application(&fleet, SECRET).code, Some(0));
    assert_eq!(add_connection(&fleet, &[], TOKEN).code, Some(0));
    let connections = fleet.json(&["connection", "list"]);
    let id = |name: &str| connections[0][name].as_str().unwrap().to_owned();
    let context = Context {
        tenant: id("tenant_id").parse::<TenantId>().unwrap(),
        connection: Some(id("id").parse().unwrap()),
        column: "refresh_tokens.sealed",
        record: "",
        schema_version: 1,
    };
    let keyring =
        |name: &str| Keyring::load(&fleet.path("keys").join(name), "development").unwrap();
    assert!(keyring("cli.toml").opener::<RefreshTokens>().is_err());
    assert!(keyring("sync.toml").opener::<RefreshTokens>().is_err());
    let opener = keyring("token.toml").opener::<RefreshTokens>().unwrap();
    let sealed = sealed_refresh_token(&fleet);
    assert_eq!(
        opener.open_secret(&context, &sealed).unwrap().as_slice(),
        TOKEN.as_bytes()
    );
}

fn sealed_refresh_token(fleet: &Fleet) -> Sealed {
    let query = "select dek_id, kek_id, kek_version, encode(wrapped_dek, 'hex'), encode(sealed, 'hex') \
                 from bulkhead.refresh_tokens";
    let row = fleet.sql(query);
    let fields: Vec<&str> = row.trim().split('|').collect();
    let bytes = |field: &str| {
        let pairs = field
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect::<Vec<u8>>()
    };
    Sealed {
        dek: bulkhead_vault::WrappedDek {
            dek_id: bulkhead_vault::DekId::new(fields[0].parse().unwrap()).unwrap(),
            kek_id: fields[1].to_owned(),
            kek_version: fields[2].parse().unwrap(),
            wrapped: bytes(fields[3]),
        },
        ciphertext: bytes(fields[4]),
    }
}

#[tokio::test]
async fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    let fleet = Fleet::with_a_shop().await;
    for command in [
        &["connection", "reauthorize", "shop", TOKEN][..],
        &[
            "connection",
            "reauthorize",
            "shop",
            "--refresh-token",
            TOKEN,
        ],
        &["application", "add", "other", "--client-id", SECRET],
        &[
            "application",
            "add",
            "other",
            "--client-id=amzn1.oa2-cs.v1.canary",
        ],
    ] {
        let error = fleet.refuses(command, 2);
        assert!(error.contains("have Amazon replace it"), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn the_wrong_secret_is_refused_by_its_kind() {
    let fleet = Fleet::with_a_shop().await;
    for (input, kind) in [
        ("Atza|canary", "this is an access token"),
        (SECRET, "this is a client secret"),
        ("", "it is empty"),
        ("Atzr|canary\nAtzr|canary", "several lines"),
    ] {
        let ran = fleet.run_with(&["connection", "reauthorize", "shop"], input);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(kind), "{ran:?}");
        assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_secret_of_an_unknown_shape_is_taken_with_a_warning() {
    let fleet = Fleet::start().await;
    let ran = add_application(&fleet, "canary-of-a-new-kind");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("does not look like a client secret"),
        "{ran:?}"
    );
    assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
}

#[tokio::test]
async fn a_secret_that_is_typed_is_not_shown() {
    let fleet = Fleet::with_a_shop().await;
    let pty = openpty(None, None).unwrap();
    let mut child = fleet
        .command(&["connection", "reauthorize", "shop"])
        .stdin(Stdio::from(pty.slave.try_clone().unwrap()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut asked = [0; "refresh token (not shown): ".len()];
    stderr.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"refresh token (not shown): ");
    let mut terminal = File::from(pty.master);
    // Longer than a terminal's line: by the line it would be cut.
    let token = format!("Atzr|canary{}", "x".repeat(5_000));
    terminal.write_all(token.as_bytes()).unwrap();
    terminal.write_all(b"\r").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // What the terminal would have shown ends with a mark of our own.
    File::from(pty.slave).write_all(b"end\n").unwrap();
    let mut shown = [0; 3];
    terminal.read_exact(&mut shown).unwrap();
    assert_eq!(&shown, b"end");
}
