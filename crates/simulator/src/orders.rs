//! Orders, in both versions of the API.

mod document_v0;
mod document_v2026;
mod shape_v2026;
mod sweep;
pub(crate) mod v0;
pub(crate) mod v2026;

pub(crate) use self::sweep::marketplaces;
