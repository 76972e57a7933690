//! A request as the operations see it.

use axum::http::HeaderMap;

use crate::{clock::UnixMs, query::Parameters, restricted::Resource, seller::Seller, world::World};

/// A call that brings its own credentials.
#[derive(Debug)]
pub(crate) struct OpenCall<'a> {
    pub(crate) world: &'a World,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) parameters: &'a Parameters,
    pub(crate) path_parameter: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) now: UnixMs,
}

/// A call of an application on behalf of a seller.
#[derive(Debug)]
pub(crate) struct SellerCall<'a> {
    pub(crate) world: &'a World,
    pub(crate) seller: &'a Seller,
    pub(crate) application: u16,
    /// What the restricted data token that was sent covers of this operation, if one was sent.
    pub(crate) restricted: Option<Resource>,
    pub(crate) parameters: &'a Parameters,
    pub(crate) path_parameter: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) now: UnixMs,
}

impl SellerCall<'_> {
    /// Whether personal data of this kind (`buyerInfo`, `shippingAddress`) may be shown.
    pub(crate) fn may_show(&self, element: &str) -> bool {
        self.restricted
            .as_ref()
            .is_some_and(|resource| resource.data_elements.iter().any(|e| e == element))
    }
}
