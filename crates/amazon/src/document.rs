//! Reading a document that may hold more, or less, than its model says.

use jiff::Timestamp;
use serde_json::Value;

use crate::{error::Flaw, order::Money};

/// The text at `pointer`; numbers count as text, anything else as absent.
pub(crate) fn text(document: &Value, pointer: &str) -> Option<String> {
    match document.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(crate) fn required_text(document: &Value, pointer: &'static str) -> Result<String, Flaw> {
    text(document, pointer)
        .filter(|text| !text.is_empty())
        .ok_or(Flaw::Missing(pointer))
}

pub(crate) fn time(document: &Value, pointer: &str) -> Option<Timestamp> {
    document.pointer(pointer)?.as_str()?.parse().ok()
}

pub(crate) fn required_time(document: &Value, pointer: &'static str) -> Result<Timestamp, Flaw> {
    time(document, pointer).ok_or(Flaw::Missing(pointer))
}

pub(crate) fn count(document: &Value, pointer: &str) -> Option<i64> {
    document.pointer(pointer)?.as_i64()
}

pub(crate) fn required_count(document: &Value, pointer: &'static str) -> Result<i64, Flaw> {
    count(document, pointer).ok_or(Flaw::Missing(pointer))
}

/// An amount that has both its parts, named `amount` and `currency`.
pub(crate) fn money(
    document: &Value,
    pointer: &str,
    (amount, currency): (&str, &str),
) -> Option<Money> {
    let money = document.pointer(pointer)?;
    Some(Money {
        amount: text(money, amount)?,
        currency: text(money, currency)?,
    })
}

/// Takes the list at `pointer` out of `document`.
pub(crate) fn take_list(document: &mut Value, pointer: &'static str) -> Result<Vec<Value>, Flaw> {
    match document.pointer_mut(pointer).map(Value::take) {
        Some(Value::Array(list)) => Ok(list),
        _ => Err(Flaw::Missing(pointer)),
    }
}
