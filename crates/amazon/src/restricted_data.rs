//! The restricted data token: without it, v0 leaves buyers' data out.

use std::time::Duration;

use bulkhead_broker::Permit;
use bulkhead_domain::operation::CREATE_RESTRICTED_DATA_TOKEN;
use bulkhead_vault::AccessToken;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    call::Called,
    document,
    error::{CallError, Flaw},
    sp_api::{Call, SellerAccess, SpApi},
};

/// What a token opens: `GET` of one path, generic (`/orders/v0/orders/{orderId}/orderItems`) or specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestrictedResource<'a> {
    /// The path.
    pub path: &'a str,
    /// What of it: `buyerInfo`, `shippingAddress`, `buyerTaxInformation`.
    pub data_elements: &'a [&'a str],
}

/// The orders and items of v0 with all their buyers' data.
pub const ORDERS_V0: [RestrictedResource<'static>; 2] = [
    RestrictedResource {
        path: "/orders/v0/orders",
        data_elements: &["buyerInfo", "shippingAddress"],
    },
    RestrictedResource {
        path: "/orders/v0/orders/{orderId}/orderItems",
        data_elements: &["buyerInfo"],
    },
];

/// Goes in place of the access token.
#[derive(Debug, Clone)]
pub struct RestrictedDataToken {
    /// The token.
    pub token: AccessToken,
    /// How long it lives from now, at most: an hour.
    pub expires_in: Duration,
}

impl SpApi {
    /// A token for up to 50 resources.
    ///
    /// # Errors
    /// [`CallError`]: its variants say what to do next.
    pub async fn create_restricted_data_token(
        &self,
        permit: Permit,
        seller: &SellerAccess<'_>,
        resources: &[RestrictedResource<'_>],
    ) -> Result<Called<RestrictedDataToken>, CallError> {
        let call = Call {
            operation: &CREATE_RESTRICTED_DATA_TOKEN,
            method: Method::POST,
            path: &["tokens", "2021-03-01", "restrictedDataToken"],
            query: &[],
            body: Some(request(resources)),
        };
        self.call(permit, seller, call).await?.decode(|answer| {
            let token = document::required_text(&answer, "/restrictedDataToken")?;
            let lifetime = document::required_count(&answer, "/expiresIn")?;
            let lifetime = u64::try_from(lifetime).map_err(|_| Flaw::Missing("/expiresIn"))?;
            Ok(RestrictedDataToken {
                token: AccessToken::new(token),
                expires_in: Duration::from_secs(lifetime),
            })
        })
    }
}

fn request(resources: &[RestrictedResource<'_>]) -> Value {
    let resources = resources.iter().map(|resource| {
        json!({
            "method": "GET",
            "path": resource.path,
            "dataElements": resource.data_elements,
        })
    });
    json!({ "restrictedResources": resources.collect::<Vec<_>>() })
}
