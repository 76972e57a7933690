//! The TOML of a keyring file. Read by hand, so that no message can repeat a key.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use hpke::Serializable;
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::{KeyPair, KeyringFile, PurposeKeys};
use crate::{error::Problem, purpose::PurposeKind, wrap};

/// Beside the purposes, so none may be called so.
const ENVIRONMENT: &str = "environment";

pub(super) fn parse(text: &str) -> Result<KeyringFile, Problem> {
    let mut table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| Problem::NotToml {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
        })?;
    let environment = environment(&mut table)?;
    let mut purposes = BTreeMap::new();
    for (name, value) in table {
        let purpose: PurposeKind = name
            .parse()
            .map_err(|_| Problem::UnknownPurpose { name: name.clone() })?;
        purposes.insert(purpose, purpose_keys(purpose, value)?);
    }
    Ok(KeyringFile {
        environment,
        purposes,
    })
}

fn environment(table: &mut Table) -> Result<Option<String>, Problem> {
    match table.remove(ENVIRONMENT) {
        None => Ok(None),
        Some(Value::String(name)) if !name.is_empty() => Ok(Some(name)),
        Some(_) => Err(Problem::NoEnvironment),
    }
}

pub(super) fn render(file: &KeyringFile) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    if let Some(environment) = file.environment() {
        let environment = Value::from(environment);
        text.push_str(&format!("{ENVIRONMENT} = {environment}\n\n"));
    }
    for (purpose, keys) in &file.purposes {
        let current = keys.current().version;
        text.push_str(&format!("[{purpose}]\ncurrent = {current}\n"));
        for key in &keys.keys {
            text.push_str(&format!(
                "\n[[{purpose}.keys]]\nid = \"{}\"\nversion = {}\npublic = \"{}\"\n",
                key.id,
                key.version,
                STANDARD.encode(key.public.to_bytes()),
            ));
            if let Some(private) = &key.private {
                let bytes = Zeroizing::new(<[u8; 32]>::from(private.to_bytes()));
                text.push_str("private = \"");
                text.push_str(&Zeroizing::new(STANDARD.encode(bytes.as_slice())));
                text.push_str("\"\n");
            }
        }
        text.push('\n');
    }
    text
}

fn purpose_keys(purpose: PurposeKind, value: Value) -> Result<PurposeKeys, Problem> {
    let mut fields = Fields::of(purpose.to_string(), value)?;
    let version = fields.version("current")?;
    let tables = match fields.table.remove("keys") {
        Some(Value::Array(tables)) if !tables.is_empty() => tables,
        _ => return Err(fields.expected("keys", "a list of keys, [[…keys]]")),
    };
    fields.nothing_else()?;
    let mut keys: Vec<KeyPair> = Vec::with_capacity(tables.len());
    for table in tables {
        let key = key_pair(purpose, table)?;
        if keys.iter().any(|other| other.version == key.version) {
            return Err(Problem::DuplicateVersion {
                purpose,
                version: key.version,
            });
        }
        keys.push(key);
    }
    let current = keys.iter().position(|key| key.version == version);
    let current = current.ok_or(Problem::MissingCurrent { purpose, version })?;
    Ok(PurposeKeys { current, keys })
}

fn key_pair(purpose: PurposeKind, value: Value) -> Result<KeyPair, Problem> {
    let mut fields = Fields::of(format!("{purpose}.keys"), value)?;
    let id = fields.name("id")?;
    let version = fields.version("version")?;
    let public = fields.key("public")?;
    let public = public.ok_or_else(|| fields.expected("public", KEY))?;
    let private = fields.key("private")?;
    fields.nothing_else()?;
    let public = wrap::public_from(&public).ok_or(Problem::WeakPublic { purpose, version })?;
    let private = private.and_then(|bytes| wrap::private_from(&bytes));
    if let Some(private) = &private
        && wrap::public_of(private) != public
    {
        return Err(Problem::Mismatch { purpose, version });
    }
    Ok(KeyPair {
        id,
        version,
        public,
        private,
    })
}

const KEY: &str = "32 bytes in base64";

/// A table whose values are taken out one by one; what is left is unknown.
struct Fields {
    place: String,
    table: Table,
}

impl Fields {
    fn of(place: String, value: Value) -> Result<Self, Problem> {
        match value {
            Value::Table(table) => Ok(Self { place, table }),
            _ => Err(Problem::Expected {
                key: "keys",
                place,
                expected: "a table",
            }),
        }
    }

    fn version(&mut self, key: &'static str) -> Result<i32, Problem> {
        let number = self.table.remove(key).and_then(|v| v.as_integer());
        number
            .and_then(|number| i32::try_from(number).ok())
            .filter(|number| *number > 0)
            .ok_or_else(|| self.expected(key, "a version, a whole number from 1"))
    }

    fn name(&mut self, key: &'static str) -> Result<String, Problem> {
        match self.table.remove(key) {
            Some(Value::String(name)) if is_name(&name) => Ok(name),
            _ => Err(self.expected(key, "1 to 64 letters, digits, `-`, `_` or `.`")),
        }
    }

    fn key(&mut self, key: &'static str) -> Result<Option<Zeroizing<[u8; 32]>>, Problem> {
        let text = match self.table.remove(key) {
            None => return Ok(None),
            Some(Value::String(text)) => Zeroizing::new(text),
            Some(_) => return Err(self.expected(key, KEY)),
        };
        let bytes = STANDARD.decode(text.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| self.expected(key, KEY))?;
        let array = <[u8; 32]>::try_from(bytes.as_slice());
        let array = array.map_err(|_| self.expected(key, KEY))?;
        Ok(Some(Zeroizing::new(array)))
    }

    fn nothing_else(&self) -> Result<(), Problem> {
        match self.table.keys().next() {
            None => Ok(()),
            Some(key) => Err(Problem::UnknownKey {
                key: key.clone(),
                place: self.place.clone(),
            }),
        }
    }

    fn expected(&self, key: &'static str, expected: &'static str) -> Problem {
        Problem::Expected {
            key,
            place: self.place.clone(),
            expected,
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() + 1
}
