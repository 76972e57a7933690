//! What must not be found, in every form in which it could be written down.

use std::{collections::BTreeSet, fmt::Write as _};

use aho_corasick::AhoCorasick;
use anyhow::{Context, Result};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use bulkhead_domain::{ConnectionId, TenantId};
use bulkhead_vault::{
    AccessTokens, BuyerPii, Context as Sealing, DekId, Keyring, Sealed, WrappedDek,
};
use serde_json::{Value, json};
use sqlx::Row;
use uuid::Uuid;

use super::endpoint;
use crate::support::TestNight;

/// Under which names the simulated Amazon sends what tells of a buyer.
const PERSONAL: [&str; 12] = [
    "buyerName",
    "buyerEmail",
    "buyerCompanyName",
    "name",
    "companyName",
    "addressLine1",
    "addressLine2",
    "phone",
    "giftMessage",
    "customizedUrl",
    "cancelReason",
    "trackingNumber",
];

/// How Amazon's secrets begin, whichever was issued when.
const BEGINNINGS: [&str; 4] = ["Atza|", "Atzr|", "Atz.sprdt|", "amzn1.oa2-cs.v1."];

/// Shorter values would be found where they are not.
const SHORTEST: usize = 8;

pub(super) struct Canaries {
    searched: AhoCorasick,
    /// Of each pattern: what it is, without the value.
    names: Vec<String>,
}

impl Canaries {
    /// Everything secret of a night; fails unless buyers' data are there, sealed, and open with the full keyring.
    pub(super) async fn of(night: &TestNight) -> Result<Self> {
        let mut secrets = tokens(night).await?;
        let sent = sent_by_amazon(night).await?;
        let sealed = sealed(night).await?;
        anyhow::ensure!(sent.len() > 100, "only {} canaries", sent.len());
        for free_text in ["call me about", "1Z"] {
            let is_there = sealed.iter().any(|value| value.contains(free_text));
            anyhow::ensure!(is_there, "nothing sealed holds {free_text}");
        }
        let both = sealed.intersection(&sent).count();
        anyhow::ensure!(
            both * 2 > sent.len(),
            "{both} of {} canaries are sealed in Postgres",
            sent.len()
        );
        secrets.extend(
            sent.union(&sealed)
                .map(|value| ("a buyer's data".to_owned(), value.clone())),
        );

        let mut patterns: Vec<Vec<u8>> = Vec::new();
        let mut names = Vec::new();
        for (name, value) in secrets {
            for (form, pattern) in forms(&value) {
                names.push(format!("{name}, {form}"));
                patterns.push(pattern);
            }
        }
        for beginning in BEGINNINGS {
            for (form, pattern) in [
                ("plain", beginning.to_owned()),
                ("URL", percent(beginning)),
                ("hex", hex(beginning)),
            ] {
                names.push(format!("{beginning}…, {form}"));
                patterns.push(pattern.into_bytes());
            }
        }
        let canaries = Self {
            searched: AhoCorasick::new(patterns)?,
            names,
        };
        canaries.finds_what_there_is(&sent)?;
        Ok(canaries)
    }

    /// What of them is in `content`.
    pub(super) fn found_in(&self, content: &[u8]) -> BTreeSet<&str> {
        let found = self.searched.find_iter(content);
        found
            .map(|found| self.names[found.pattern().as_usize()].as_str())
            .collect()
    }

    /// A search that finds nothing where something is would prove nothing.
    fn finds_what_there_is(&self, values: &BTreeSet<String>) -> Result<()> {
        for value in values {
            for (form, pattern) in forms(value) {
                let content = [b"{\"x\":\"", pattern.as_slice(), b"\"}"].concat();
                anyhow::ensure!(!self.found_in(&content).is_empty(), "not found as {form}");
            }
            // In the middle of something else that was encoded.
            for before in ["", "1", "22"] {
                let around = STANDARD_NO_PAD.encode(format!("{before}{value}333"));
                anyhow::ensure!(
                    !self.found_in(around.as_bytes()).is_empty(),
                    "not found inside base64"
                );
            }
        }
        Ok(())
    }
}

/// Tokens and secrets that the test can know: their beginnings tell the others.
async fn tokens(night: &TestNight) -> Result<Vec<(String, String)>> {
    let ready = &night.fleet.amazon.ready;
    let mut secrets = vec![(
        "the client secret".to_owned(),
        ready.applications[0].client_secret.clone(),
    )];
    for password in night.fleet.logins.passwords() {
        secrets.push(("a login in Redis".to_owned(), password.to_owned()));
    }
    for seller in &ready.sellers {
        secrets.push(("a refresh token".to_owned(), seller.refresh_token.clone()));
    }
    let opener = full_keyring(night)?.opener::<AccessTokens>()?;
    let rows = sqlx::query("select * from bulkhead.access_tokens")
        .fetch_all(&night.pool)
        .await?;
    anyhow::ensure!(rows.len() >= 5, "{} access tokens", rows.len());
    for row in rows {
        let context = Sealing::access_token(
            tenant(row.get("tenant_id")),
            connection(row.get("connection_id")),
        );
        let sealed = Sealed {
            dek: wrapped(&row, "wrapped_dek")?,
            ciphertext: row.get("sealed"),
        };
        let token = String::from_utf8(opener.open_secret(&context, &sealed)?.to_vec())?;
        anyhow::ensure!(token.starts_with("Atza|"));
        // Without its beginning, which a redaction would take for granted.
        let rest = token.trim_start_matches("Atza|").to_owned();
        secrets.extend([
            ("an access token".to_owned(), token),
            ("an access token's end".to_owned(), rest),
        ]);
    }
    Ok(secrets)
}

/// What a client without this fleet's code is sent of every seller that has not withdrawn.
async fn sent_by_amazon(night: &TestNight) -> Result<BTreeSet<String>> {
    night.fleet.amazon.clear_faults().await?;
    let ready = &night.fleet.amazon.ready;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut found = BTreeSet::new();
    for seller in &ready.sellers {
        let grant = json!({
            "grant_type": "refresh_token", "refresh_token": seller.refresh_token,
            "client_id": ready.applications[0].client_id, "client_secret": ready.applications[0].client_secret,
        });
        let token: Value = client
            .post(&ready.lwa_url)
            .json(&grant)
            .send()
            .await?
            .json()
            .await?;
        let url = format!(
            "{}/orders/2026-01-01/orders?lastUpdatedAfter=2020-01-01T00%3A00%3A00Z&maxResultsPerPage=100\
             &includedData=BUYER%2CRECIPIENT%2CFULFILLMENT%2CCANCELLATION%2CPACKAGES&marketplaceIds={}",
            endpoint(night, seller).trim_end_matches('/'),
            seller.marketplace_ids.join("%2C"),
        );
        let token = token["access_token"].as_str().context("an access token")?;
        let answer = client
            .get(&url)
            .header("x-amz-access-token", token)
            .header("user-agent", "test/1 (Language=Rust)");
        let page: Value = answer.send().await?.json().await?;
        anyhow::ensure!(page["orders"].is_array(), "{page}");
        personal(&page, &mut found);
    }
    Ok(found)
}

/// What the rows hold for whoever has all keys.
async fn sealed(night: &TestNight) -> Result<BTreeSet<String>> {
    let opener = full_keyring(night)?.opener::<BuyerPii>()?;
    let rows = "select p.*, k.kek_id, k.kek_version, k.wrapped from bulkhead.order_pii p \
                join keystore.pii_keys k using (tenant_id, ingest_day, dek_id)";
    let mut found = BTreeSet::new();
    for row in sqlx::query(rows).fetch_all(&night.pool).await? {
        let tenant = tenant(row.get("tenant_id"));
        let day: jiff::civil::Date = row.get::<jiff_sqlx::Date, _>("ingest_day").to_jiff();
        let dek = opener.unwrap(tenant, &day.to_string(), &wrapped(&row, "wrapped")?)?;
        let order_id: String = row.get("order_id");
        let context =
            Sealing::order_pii(tenant, connection(row.get("connection_id")), &order_id, 1);
        let clear = dek.open(&context, &row.get::<Vec<u8>, _>("sealed"))?;
        personal(&serde_json::from_slice(&clear)?, &mut found);
    }
    Ok(found)
}

fn personal(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(text) = value
                    .as_str()
                    .filter(|text| is_personal(name) && text.len() >= SHORTEST)
                {
                    found.insert(text.to_owned());
                }
                personal(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| personal(value, found)),
        _ => {}
    }
}

/// Of either version of the API.
fn is_personal(name: &str) -> bool {
    PERSONAL
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name.rsplit('/').next().unwrap_or(name)))
}

fn full_keyring(night: &TestNight) -> Result<Keyring> {
    Ok(Keyring::load(
        &night.fleet.keyring("keyring"),
        "development",
    )?)
}

fn wrapped(row: &sqlx::postgres::PgRow, column: &str) -> Result<WrappedDek> {
    Ok(WrappedDek {
        dek_id: DekId::new(row.get("dek_id")).context("a data key")?,
        kek_id: row.get("kek_id"),
        kek_version: row.get("kek_version"),
        wrapped: row.get(column),
    })
}

fn tenant(id: Uuid) -> TenantId {
    TenantId::new(id)
}

fn connection(id: Uuid) -> ConnectionId {
    ConnectionId::new(id)
}

fn forms(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("plain", value.to_owned()),
        ("hex", hex(value)),
        ("hex in capitals", hex(value).to_uppercase()),
        ("URL", percent(value)),
        ("form", percent(value).replace("%20", "+")),
        ("JSON in ASCII", ascii(value)),
    ];
    // Three bytes are four letters: a value may begin at any of the three.
    for skipped in 0..3 {
        let whole = &value.as_bytes()[skipped..];
        let whole = &whole[..whole.len() / 3 * 3];
        forms.push(("base64", STANDARD_NO_PAD.encode(whole)));
        forms.push(("base64 for URLs", URL_SAFE_NO_PAD.encode(whole)));
    }
    forms
        .into_iter()
        .map(|(form, text)| (form, text.into_bytes()))
        .collect()
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// `\u00fc` instead of `ü`.
fn ascii(text: &str) -> String {
    text.encode_utf16()
        .fold(String::new(), |mut escaped, unit| {
            match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => escaped.push(char::from(byte)),
                _ => {
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
            escaped
        })
}
