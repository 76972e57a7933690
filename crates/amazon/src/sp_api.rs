//! One client for the three regions of the Selling Partner API.

use bulkhead_broker::Permit;
use bulkhead_domain::{LimitScope, Operation, Region};
use bulkhead_vault::AccessToken;
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, header::HeaderValue};
use serde_json::Value;
use url::Url;

use crate::{
    call::{CallMeta, Called},
    error::{CallError, ErrorCode, Flaw, RetryCause},
    options::{AmazonOptions, OptionsError},
    transport::{Answer, Body, MAX_BODY_BYTES, SendError, Transport},
};

/// Sends calls and classes what comes back. Its operations are in the modules of their APIs. Cheap to clone.
#[derive(Clone)]
pub struct SpApi {
    na: Host,
    eu: Host,
    fe: Host,
}

/// One region's address, and the connections to it.
#[derive(Clone)]
struct Host {
    url: Url,
    transport: Transport,
}

/// For whom a call is made.
#[derive(Debug, Clone, Copy)]
pub struct SellerAccess<'a> {
    /// Where the seller lives.
    pub region: Region,
    /// The seller's access token, or a restricted data token.
    pub access_token: &'a AccessToken,
}

/// One request, without what every request has.
pub(crate) struct Call<'a> {
    pub(crate) operation: &'static Operation,
    pub(crate) method: Method,
    /// Segments; whatever is in one stays in it.
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a [(&'static str, String)],
    pub(crate) body: Option<Value>,
}

impl SpApi {
    /// A client for the three hosts of `options`.
    ///
    /// # Errors
    /// [`OptionsError`]: one line.
    pub fn new(options: &AmazonOptions) -> Result<Self, OptionsError> {
        let host = |region| {
            Ok(Host {
                url: options.region_url(region)?,
                transport: Transport::new(options)?,
            })
        };
        Ok(Self {
            na: host(Region::Na)?,
            eu: host(Region::Eu)?,
            fe: host(Region::Fe)?,
        })
    }

    const fn host(&self, region: Region) -> &Host {
        match region {
            Region::Na => &self.na,
            Region::Eu => &self.eu,
            Region::Fe => &self.fe,
        }
    }

    /// Sends one call and reads its answer as JSON.
    pub(crate) async fn call(
        &self,
        permit: Permit,
        seller: &SellerAccess<'_>,
        call: Call<'_>,
    ) -> Result<Called<Value>, CallError> {
        let operation = call.operation;
        let host = self.host(seller.region);
        let request = host.request(seller.access_token, call).build();
        let request =
            request.map_err(|error| unanswered(RetryCause::Transport(error.without_url())))?;
        let answer = host.transport.send(permit, operation, request).await;
        read(answer.map_err(|error| not_answered(error, operation))?)
    }
}

impl Host {
    fn request(&self, access_token: &AccessToken, call: Call<'_>) -> RequestBuilder {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let date = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let client = self.transport.client();
        let request = client
            .request(call.method, url)
            .header("x-amz-access-token", sensitive(access_token))
            .header("x-amz-date", date);
        match call.body {
            Some(body) => request.json(&body),
            None => request,
        }
    }
}

impl std::fmt::Debug for SpApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SpApi({}, {}, {})",
            self.na.url, self.eu.url, self.fe.url
        )
    }
}

/// The token as a header that no debug output shows. One that is not printable becomes empty, which Amazon rejects.
fn sensitive(token: &AccessToken) -> HeaderValue {
    let header = HeaderValue::from_str(token.expose_secret());
    let mut header = header.unwrap_or_else(|_| HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

fn not_answered(error: SendError, called: &'static Operation) -> CallError {
    match error {
        SendError::PermitExpired(expired) => expired.into(),
        SendError::WrongPermit(permitted) => CallError::WrongPermit { permitted, called },
        SendError::Transport(error) => unanswered(RetryCause::Transport(error)),
    }
}

const fn unanswered(cause: RetryCause) -> CallError {
    CallError::Retryable { cause, meta: None }
}

fn read(answer: Answer) -> Result<Called<Value>, CallError> {
    let meta = answer.meta;
    match (meta.status, answer.body) {
        (200..=202, Body::TooLong) => {
            let max_bytes = MAX_BODY_BYTES;
            let flaw = Flaw::TooLong { max_bytes };
            Err(CallError::Undecodable { flaw, meta })
        }
        (200..=202, Body::Whole(body)) => match serde_json::from_slice(&body) {
            Ok(value) => Ok(Called { value, meta }),
            Err(error) => Err(CallError::Undecodable {
                flaw: Flaw::NotJson {
                    line: error.line(),
                    column: error.column(),
                },
                meta,
            }),
        },
        (203..300, _) => Err(CallError::Undecodable {
            flaw: Flaw::Status,
            meta,
        }),
        (_, Body::Whole(body)) => Err(refused(&body, meta)),
        (_, Body::TooLong) => Err(refused(&[], meta)),
    }
}

/// By status first; the body only decides among the 403s.
fn refused(body: &[u8], meta: CallMeta) -> CallError {
    let refusal = Refusal::read(body);
    let code = refusal.as_ref().map_or("", |refusal| refusal.code.as_str());
    match meta.status {
        401 | 403 => match refusal {
            Some(refusal) => refusal.denied(meta),
            // A gateway's page, not the API's word: nothing is concluded about the seller from it.
            None => retryable(meta),
        },
        404 => CallError::NotFound { meta },
        429 => CallError::Throttled {
            limit: refusal.map_or(LimitScope::Connection, |refusal| refusal.limit()),
            meta,
        },
        408 | 425 => retryable(meta),
        400..500 => CallError::InvalidRequest {
            code: ErrorCode::new(code),
            meta,
        },
        _ => retryable(meta),
    }
}

fn retryable(meta: CallMeta) -> CallError {
    CallError::Retryable {
        cause: RetryCause::Status(meta.status),
        meta: Some(meta),
    }
}

/// The first error of an error body.
struct Refusal {
    code: String,
    text: String,
}

impl Refusal {
    fn read(body: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(body).ok()?;
        let error = document.get("errors")?.get(0)?;
        let text = |field: &str| error.get(field).and_then(Value::as_str).unwrap_or_default();
        Some(Self {
            code: text("code").to_owned(),
            text: format!("{} {}", text("message"), text("details")).to_lowercase(),
        })
    }

    /// Amazon tells its limits apart only in prose, and only in some APIs ("… greater than what is allowed for the
    /// application."). The usual text is about the application's plan for this seller, as is the rate that answers report.
    fn limit(&self) -> LimitScope {
        if self.text.contains("for the application") {
            LimitScope::Application
        } else {
            LimitScope::Connection
        }
    }

    /// A 403 means four things; Amazon tells them apart only in prose.
    fn denied(self, meta: CallMeta) -> CallError {
        if self.text.contains("access token") && self.text.contains("expired") {
            CallError::TokenExpired { meta }
        } else if self.text.contains("revoked, malformed or invalid") {
            CallError::TokenRejected { meta }
        } else if self.code == "MissingAuthenticationToken" {
            let code = ErrorCode::new(&self.code);
            CallError::InvalidRequest { code, meta }
        } else {
            let code = ErrorCode::new(&self.code);
            CallError::NotAllowed { code, meta }
        }
    }
}
