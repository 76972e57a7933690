//! Reading scripts' replies.

use std::time::Duration;

use redis::{ErrorKind, RedisError, Value};

/// A reply that no version of the script gives.
pub(crate) fn unexpected(script: &'static str) -> RedisError {
    RedisError::from((
        ErrorKind::UnexpectedReturnType,
        script,
        "not a reply of this script".to_owned(),
    ))
}

/// The bytes of a string reply.
pub(crate) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The number of an integer reply, if it is not negative.
pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// A duration in µs, as scripts take them.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX >> 12)
}

/// A page of `HSCAN`: the next cursor, and fields with their values.
pub(crate) type HashPage = (u64, Vec<(Vec<u8>, Vec<u8>)>);
