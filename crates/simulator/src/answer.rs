//! What Amazon answers: documents, and errors in the words of its documentation.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use crate::{clock::UnixMs, seller::OrderIndex};

/// An answer before Amazon's headers are added.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// Which page of a sequence this is, from 1.
    pub(crate) page: Option<u32>,
    /// What the client learns from it; counted once it is sent whole.
    pub(crate) served: Option<Arc<Served>>,
}

/// Orders in an answer.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) seller: u32,
    /// Order and the time of the last change that the document shows.
    pub(crate) orders: Vec<(OrderIndex, UnixMs)>,
    pub(crate) with_items: bool,
}

impl Answer {
    pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Self {
        match serde_json::to_vec(document) {
            Ok(body) => Self::new(status, "application/json", body.into()),
            Err(error) => Refusal::internal(&error.to_string()).into(),
        }
    }

    pub(crate) fn ok(document: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, document)
    }

    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        Self {
            status,
            content_type,
            body,
            page: None,
            served: None,
        }
    }

    pub(crate) fn on_page(self, page: u32) -> Self {
        Self {
            page: Some(page),
            ..self
        }
    }

    pub(crate) fn serving(self, served: Served) -> Self {
        Self {
            served: Some(Arc::new(served)),
            ..self
        }
    }

    /// The edge's page when Amazon is overloaded: not JSON.
    pub(crate) fn unavailable_html() -> Self {
        let page = "<html><head><title>503 Service Temporarily Unavailable</title></head>\
                    <body><center><h1>503 Service Temporarily Unavailable</h1></center></body></html>";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "text/html",
            Bytes::from_static(page.as_bytes()),
        )
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let content_type = HeaderValue::from_static(self.content_type);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        response
    }
}

/// A refusal by the Selling Partner API: `{"errors":[{code, message, details}]}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: String,
}

impl Refusal {
    /// 400: the request can never succeed as it is.
    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidInput", message, "")
    }

    /// 403 with the reason in `details`; empty where Amazon gives none.
    pub(crate) fn denied(details: &'static str) -> Self {
        let message = "Access to requested resource is denied.";
        Self::new(StatusCode::FORBIDDEN, "Unauthorized", message, details)
    }

    /// 403 for a request without a token, or to a path that is none of Amazon's.
    pub(crate) fn missing_token() -> Self {
        let message = "Missing Authentication Token";
        Self::new(
            StatusCode::FORBIDDEN,
            "MissingAuthenticationToken",
            message,
            "",
        )
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message, "")
    }

    pub(crate) fn quota_exceeded() -> Self {
        let message = "You exceeded your quota for the requested resource.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "QuotaExceeded", message, "")
    }

    pub(crate) fn too_frequent_for_application() -> Self {
        let message =
            "The frequency of requests was greater than what is allowed for the application.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "QuotaExceeded", message, "")
    }

    pub(crate) fn internal(details: &str) -> Self {
        let message = "We encountered an internal error. Please try again.";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalFailure",
            message,
            details,
        )
    }

    fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        details: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: details.into(),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let error =
            json!({"code": refusal.code, "message": refusal.message, "details": refusal.details});
        let body = json!({"errors": [error]}).to_string();
        Self::new(refusal.status, "application/json", body.into())
    }
}
