//! Restricted data tokens: who may see buyers' personal data in the older APIs.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::Method;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    access_token::LIFETIME_S,
    answer::{Answer, Refusal},
    call::SellerCall,
    clock::UnixMs,
};

const PREFIX: &str = "Atz.sprdt|";
const MAX_RESOURCES: usize = 50;
const ELEMENTS: &[&str] = &["buyerInfo", "shippingAddress", "buyerTaxInformation"];

/// One path that a token opens, and the personal data that it shows there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resource {
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) data_elements: Vec<String>,
}

/// What a restricted data token stands for.
#[derive(Debug, Clone)]
pub(crate) struct RestrictedToken {
    pub(crate) application: u16,
    pub(crate) seller: u32,
    pub(crate) generation: u32,
    pub(crate) expires: UnixMs,
    resources: Vec<Resource>,
}

/// The tokens that were given and did not expire long ago.
#[derive(Debug, Default)]
pub(crate) struct RestrictedTokens(Mutex<HashMap<String, RestrictedToken>>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    restricted_resources: Vec<Resource>,
}

/// `POST /tokens/2021-03-01/restrictedDataToken`
pub(crate) fn create(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let request: Request = serde_json::from_slice(call.body)
        .map_err(|error| Refusal::invalid_input(format!("Invalid request body: {error}")))?;
    let resources = request.restricted_resources;
    if resources.is_empty() || resources.len() > MAX_RESOURCES {
        return Err(Refusal::invalid_input(
            "restrictedResources must have 1 to 50 entries.",
        ));
    }
    if let Some(bad) = resources.iter().find(|resource| !resource.is_valid()) {
        let Resource { method, path, .. } = bad;
        return Err(Refusal::invalid_input(format!(
            "Invalid restricted resource: {method} {path}"
        )));
    }
    let lifetime_ms = call.world.pace.ms(LIFETIME_S);
    let token = call.world.restricted.issue(
        RestrictedToken {
            application: call.application,
            seller: call.seller.index,
            generation: call.world.grants[call.seller.index as usize].generation(),
            expires: call.now + lifetime_ms,
            resources,
        },
        call.now - lifetime_ms,
    );
    let expires_in = (lifetime_ms / 1_000).max(1);
    Ok(Answer::ok(
        &json!({"restrictedDataToken": token, "expiresIn": expires_in}),
    ))
}

impl RestrictedTokens {
    /// Writes `token` down; forgets those that expired before `forget_before`.
    fn issue(&self, token: RestrictedToken, forget_before: UnixMs) -> String {
        let text = format!(
            "{PREFIX}{}{}",
            Uuid::new_v4().simple(),
            Uuid::new_v4().simple()
        );
        let mut tokens = self.lock();
        tokens.retain(|_, token| token.expires >= forget_before);
        tokens.insert(text.clone(), token);
        text
    }

    pub(crate) fn read(&self, text: &str) -> Option<RestrictedToken> {
        self.lock().get(text).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, RestrictedToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RestrictedToken {
    /// The resource that covers a request, if the token has one.
    pub(crate) fn covers(&self, method: &Method, path: &str) -> Option<Resource> {
        let matches =
            |resource: &&Resource| resource.method == method.as_str() && resource.matches(path);
        self.resources.iter().find(matches).cloned()
    }
}

impl Resource {
    fn is_valid(&self) -> bool {
        let orders = self.path.starts_with("/orders/v0/orders") && self.method == "GET";
        let elements = &self.data_elements;
        let specific = !self.path.contains('{');
        let document = self.path.starts_with("/reports/2021-06-30/documents/") && specific;
        let known = elements
            .iter()
            .all(|element| ELEMENTS.contains(&element.as_str()));
        (orders && known) || (document && elements.is_empty())
    }

    /// A path with `{orderId}` covers every order.
    fn matches(&self, path: &str) -> bool {
        let (ours, theirs) = (self.path.split('/'), path.split('/'));
        ours.clone().count() == theirs.clone().count()
            && ours
                .zip(theirs)
                .all(|(ours, theirs)| ours.starts_with('{') || ours == theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generic_path_covers_every_order_and_a_specific_one_only_itself() {
        let resource = |path: &str| Resource {
            method: "GET".into(),
            path: path.into(),
            data_elements: Vec::new(),
        };
        let generic = resource("/orders/v0/orders/{orderId}");
        assert!(generic.matches("/orders/v0/orders/1-2-3"));
        assert!(!generic.matches("/orders/v0/orders/1-2-3/orderItems"));
        assert!(!resource("/orders/v0/orders/9-9-9").matches("/orders/v0/orders/1-2-3"));
    }
}
