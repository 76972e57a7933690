//! Login with Amazon: access tokens for refresh tokens, codes and applications.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError, atomic::Ordering},
};

use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    access_token::{AccessToken, LIFETIME_S},
    answer::Answer,
    call::OpenCall,
    clock::UnixMs,
    faults::Kind,
    query,
    world::World,
};

const CODE_LIFETIME_S: f64 = 300.0;
const SCOPES: &[&str] = &[
    "sellingpartnerapi::notifications",
    "sellingpartnerapi::client_credential:rotation",
];

/// Codes that sellers' consent pages handed out; each is good for one use.
#[derive(Debug, Default)]
pub(crate) struct AuthorizationCodes(Mutex<HashMap<String, Code>>);

/// An authorization code's meaning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code {
    pub(crate) seller: u32,
    pub(crate) application: u16,
    pub(crate) expires: UnixMs,
}

impl AuthorizationCodes {
    /// A new code for `seller`'s consent to `application`.
    pub(crate) fn issue(&self, world: &World, seller: u32, application: u16) -> String {
        let text = format!("AN{}", Uuid::new_v4().simple());
        let expires = world.clock.now_ms() + world.pace.ms(CODE_LIFETIME_S);
        let code = Code {
            seller,
            application,
            expires,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(text.clone(), code);
        text
    }

    fn redeem(&self, text: &str) -> Option<Code> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(text)
    }

    fn peek(&self, text: &str) -> Option<u32> {
        let codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.get(text).map(|code| code.seller)
    }
}

/// The fields of a token request, from a form or a JSON object.
#[derive(Debug, Default)]
pub(crate) struct TokenRequest(HashMap<String, String>);

impl TokenRequest {
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok());
        if content_type.is_some_and(|content_type| content_type.contains("json")) {
            Self(serde_json::from_slice(body).unwrap_or_default())
        } else {
            Self(query::pairs(body).into_iter().collect())
        }
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Whom the request is about, valid or not: seller and application, for the log and faults.
    pub(crate) fn about(&self, world: &World) -> (Option<u32>, Option<u16>) {
        let of_token = world.seller_of_refresh_token(self.get("refresh_token"));
        let seller = of_token.or_else(|| world.codes.peek(self.get("code")));
        (seller, world.application(self.get("client_id")))
    }
}

/// `POST /auth/o2/token`
pub(crate) fn token(call: &OpenCall<'_>) -> Answer {
    let request = TokenRequest::read(call.headers, call.body);
    issue(call, &request).unwrap_or_else(Denial::answer)
}

fn issue(call: &OpenCall<'_>, request: &TokenRequest) -> Result<Answer, Denial> {
    let grant_type = request.get("grant_type");
    if grant_type.is_empty() {
        return Err(Denial::invalid_request("grant_type"));
    }
    let application = authenticate(call.world, request)?;
    match grant_type {
        "refresh_token" => refresh(call, request, application),
        "authorization_code" => exchange(call, request, application),
        "client_credentials" => grantless(call, request, application),
        _ => Err(Denial {
            status: StatusCode::BAD_REQUEST,
            error: "unsupported_grant_type",
            description:
                "The authorization grant type is not supported by the authorization server".into(),
        }),
    }
}

fn authenticate(world: &World, request: &TokenRequest) -> Result<u16, Denial> {
    let application = world.application(request.get("client_id"));
    application
        .filter(|index| {
            world.applications[usize::from(*index)].client_secret == request.get("client_secret")
        })
        .ok_or(Denial {
            status: StatusCode::UNAUTHORIZED,
            error: "invalid_client",
            description: "Client authentication failed".into(),
        })
}

fn refresh(
    call: &OpenCall<'_>,
    request: &TokenRequest,
    application: u16,
) -> Result<Answer, Denial> {
    let refresh_token = request.get("refresh_token");
    if refresh_token.is_empty() || !request.get("scope").is_empty() {
        return Err(Denial::invalid_request("refresh_token"));
    }
    let seller = call.world.seller_of_refresh_token(refresh_token);
    let seller = seller.ok_or_else(|| Denial::invalid_grant("refresh_token"))?;
    for_seller(call, seller, application, "refresh_token")
}

fn exchange(
    call: &OpenCall<'_>,
    request: &TokenRequest,
    application: u16,
) -> Result<Answer, Denial> {
    if request.get("code").is_empty() {
        return Err(Denial::invalid_request("code"));
    }
    let code = call.world.codes.redeem(request.get("code"));
    let code = code
        .filter(|code| code.application == application && call.now < code.expires)
        .ok_or_else(|| Denial::invalid_grant("code"))?;
    // Consent given anew ends an earlier revocation.
    let grant = &call.world.grants[code.seller as usize];
    grant.set_revoked(false);
    grant.consent(application);
    for_seller(call, code.seller, application, "code")
}

fn for_seller(
    call: &OpenCall<'_>,
    seller: u32,
    application: u16,
    parameter: &str,
) -> Result<Answer, Denial> {
    let world = call.world;
    let (grant, seller) = (
        &world.grants[seller as usize],
        &world.sellers[seller as usize],
    );
    let consented = seller.application == application || grant.has_consented(application);
    if grant.is_revoked() || !consented {
        return Err(Denial::invalid_grant(parameter));
    }
    if parameter == "refresh_token" {
        grant.refreshes.fetch_add(1, Ordering::Relaxed);
    }
    let mut document = access(call, Some(seller.index), application, grant.generation());
    document["refresh_token"] = json!(seller.refresh_token);
    Ok(Answer::ok(&document))
}

fn grantless(
    call: &OpenCall<'_>,
    request: &TokenRequest,
    application: u16,
) -> Result<Answer, Denial> {
    let scope = request.get("scope");
    if !SCOPES.contains(&scope) {
        return Err(Denial {
            status: StatusCode::BAD_REQUEST,
            error: "invalid_scope",
            description: "The requested scope is invalid, unknown, or malformed".into(),
        });
    }
    let mut document = access(call, None, application, 0);
    document["scope"] = json!(scope);
    Ok(Answer::ok(&document))
}

fn access(call: &OpenCall<'_>, seller: Option<u32>, application: u16, generation: u32) -> Value {
    let lifetime_ms = call.world.pace.ms(LIFETIME_S);
    let token = AccessToken {
        application,
        seller,
        generation,
        expires: call.now + lifetime_ms,
    };
    json!({
        "access_token": call.world.mint.write(&token),
        "token_type": "bearer",
        "expires_in": (lifetime_ms / 1_000).max(1),
    })
}

/// Why no token is given.
#[derive(Debug)]
struct Denial {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl Denial {
    fn invalid_request(parameter: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error: "invalid_request",
            description: format!("The request is missing a required parameter : {parameter}"),
        }
    }

    fn invalid_grant(parameter: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error: "invalid_grant",
            description: format!(
                "The request has an invalid grant parameter : {parameter}. \
                 User may have revoked or didn't grant the permission."
            ),
        }
    }

    fn answer(self) -> Answer {
        let body = json!({"error": self.error, "error_description": self.description});
        Answer::json(self.status, &body)
    }
}

/// The answer to an injected fault, in this endpoint's own form.
pub(crate) fn fault(kind: Kind) -> Answer {
    let (status, error, description) = match kind {
        Kind::Throttle | Kind::ThrottleApplication => (
            StatusCode::TOO_MANY_REQUESTS,
            "TooManyRequests",
            "Request is throttled",
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "ServerError",
            "The server encountered a runtime error",
        ),
    };
    Denial {
        status,
        error,
        description: description.into(),
    }
    .answer()
}
