//! The way of a request: log, faults, token, usage plan, operation, Amazon's headers.

use std::io;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderValue, Request, Response, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use uuid::Uuid;

use crate::{
    access::{self, Access},
    answer::{Answer, Refusal},
    call::{OpenCall, SellerCall},
    clock::{UnixMs, unix_us},
    connection::Peer,
    faults::Kind,
    journal::{Ending, Entry},
    lwa,
    operation::{Handler, OPERATIONS, Operation},
    query::Parameters,
    server::Shared,
    world::World,
};

const MAX_BODY_BYTES: usize = 1 << 20;
const MAX_USER_AGENT: usize = 500;

/// Answers one request to Amazon. `operation` is its position in the table; `None`: unknown path.
pub(crate) async fn serve(
    shared: Shared,
    operation: Option<usize>,
    peer: Peer,
    request: Request<Body>,
) -> Response<Body> {
    let arrived_us = unix_us();
    let world = &*shared.world;
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY_BYTES).await.unwrap_or_default();
    let visit = Visit::new(world, operation, &head, &body);
    let sequence = world.journal.arrived(Entry {
        arrived_us,
        operation,
        seller: visit.seller,
        application: visit.application,
        status: 0,
        page: None,
        fault: None,
    });
    // Before the fault strikes: one that is deleted right after must be noticed.
    let until_cleared = world.faults.until_cleared();
    let fault = operation.and_then(|operation| world.faults.strike(operation, visit.seller));
    let unanswered = Ending {
        fault,
        ..Ending::default()
    };
    let (response, ending) = match fault {
        Some(Kind::Timeout) => {
            visit.use_plan();
            world.journal.ended(sequence, unanswered);
            shared.closing().await;
            peer.reset();
            return Response::new(Body::empty());
        }
        Some(Kind::Hold) => {
            tokio::select! {
                () = until_cleared => {}
                () = shared.closing() => {}
            }
            visit.answer(fault)
        }
        Some(Kind::Reset) => {
            visit.use_plan();
            peer.reset();
            (Response::new(Body::empty()), unanswered)
        }
        _ => visit.answer(fault),
    };
    world.journal.ended(sequence, ending);
    response
}

/// One request.
#[derive(Debug)]
struct Visit<'a> {
    world: &'a World,
    /// Position in the table of operations.
    operation: Option<usize>,
    head: &'a Parts,
    body: &'a Bytes,
    parameters: Parameters,
    now: UnixMs,
    /// Whom it is about, valid or not.
    seller: Option<u32>,
    application: Option<u16>,
}

/// The outcome of an operation with what the usage plan had to say.
struct Outcome {
    answer: Answer,
    over_plan: bool,
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            over_plan: false,
        }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Answer::from(refusal).into()
    }
}

impl<'a> Visit<'a> {
    fn new(world: &'a World, operation: Option<usize>, head: &'a Parts, body: &'a Bytes) -> Self {
        let is_lwa =
            operation.is_some_and(|operation| OPERATIONS[operation].key.starts_with("lwa/"));
        let (seller, application) = if is_lwa {
            lwa::TokenRequest::read(&head.headers, body).about(world)
        } else {
            access::holder(world, &head.headers)
        };
        Self {
            world,
            operation,
            head,
            body,
            parameters: Parameters::of(&head.uri),
            now: world.clock.now_ms(),
            seller,
            application,
        }
    }

    /// The response, and how the log describes it.
    fn answer(&self, fault: Option<Kind>) -> (Response<Body>, Ending) {
        let Outcome {
            mut answer,
            over_plan,
        } = self.outcome(fault);
        let ending = Ending {
            status: answer.status.as_u16(),
            page: answer.page,
            fault,
            over_plan,
        };
        let served = answer.served.take();
        let truncated = fault == Some(Kind::Truncate);
        if let Some(served) = served.filter(|_| answer.status == StatusCode::OK && !truncated) {
            self.world.served.record(&served);
        }
        let mut response = if truncated {
            truncate(answer)
        } else {
            answer.into_response()
        };
        self.add_headers(&mut response);
        (response, ending)
    }

    fn outcome(&self, fault: Option<Kind>) -> Outcome {
        let Some(operation) = self.operation else {
            return Refusal::missing_token().into();
        };
        if let Some(answer) = fault.and_then(|kind| self.struck_by(kind, &OPERATIONS[operation])) {
            self.use_plan();
            return answer.into();
        }
        let user_agent = self.head.headers.get(header::USER_AGENT);
        if user_agent.is_some_and(|agent| agent.len() > MAX_USER_AGENT) {
            return Refusal::invalid_input("The User-Agent header exceeds 500 characters.").into();
        }
        match &OPERATIONS[operation].handler {
            Handler::Open(handler) => handler(&self.open_call(&OPERATIONS[operation])).into(),
            Handler::Seller(handler) => match self.seller_call(operation) {
                Ok(call) => self.within_plan(operation, &call).map_or_else(
                    |over_plan| over_plan,
                    |()| handler(&call).map_or_else(Outcome::from, Outcome::from),
                ),
                Err(refusal) => refusal.into(),
            },
        }
    }

    /// The answer that a fault gives by itself; lasting ones change the grant, and the request goes on.
    fn struck_by(&self, kind: Kind, operation: &Operation) -> Option<Answer> {
        let is_lwa = operation.key.starts_with("lwa/");
        match kind {
            Kind::Throttle | Kind::ThrottleApplication | Kind::InternalError if is_lwa => {
                Some(lwa::fault(kind))
            }
            Kind::Throttle => Some(Refusal::quota_exceeded().into()),
            Kind::ThrottleApplication => Some(Refusal::too_frequent_for_application().into()),
            Kind::InternalError => Some(Refusal::internal("").into()),
            Kind::UnavailableHtml => Some(Answer::unavailable_html()),
            Kind::ExpireTokens | Kind::Revoke => {
                if let Some(seller) = self.seller {
                    kind.apply(&self.world.grants[seller as usize]);
                }
                None
            }
            Kind::Timeout | Kind::Hold | Kind::Reset | Kind::Truncate => None,
        }
    }

    fn open_call(&self, operation: &Operation) -> OpenCall<'_> {
        OpenCall {
            world: self.world,
            headers: &self.head.headers,
            parameters: &self.parameters,
            path_parameter: operation.path_parameter(self.head.uri.path()),
            body: self.body,
            now: self.now,
        }
    }

    fn seller_call(&self, operation: usize) -> Result<SellerCall<'_>, Refusal> {
        let path = self.head.uri.path();
        let access = Access::check(
            self.world,
            &self.head.headers,
            &self.head.method,
            path,
            self.now,
        )?;
        Ok(SellerCall {
            world: self.world,
            seller: &self.world.sellers[access.seller as usize],
            application: access.application,
            restricted: access.restricted,
            parameters: &self.parameters,
            path_parameter: OPERATIONS[operation].path_parameter(path),
            body: self.body,
            now: self.now,
        })
    }

    fn within_plan(&self, operation: usize, call: &SellerCall<'_>) -> Result<(), Outcome> {
        let limiter = self
            .world
            .limiter(operation)
            .filter(|_| self.world.options.enforce_plans);
        if limiter.is_none_or(|limiter| limiter.admits(call.application, call.seller.index)) {
            return Ok(());
        }
        Err(Outcome {
            answer: Refusal::quota_exceeded().into(),
            over_plan: true,
        })
    }

    /// A request that fails has used the plan all the same.
    fn use_plan(&self) {
        let limiter = self
            .operation
            .and_then(|operation| self.world.limiter(operation));
        if let (Some(limiter), Some(application), Some(seller)) =
            (limiter, self.application, self.seller)
        {
            limiter.admits(application, seller);
        }
    }

    /// `x-amzn-RequestId` always; the rate only where Amazon still sends it: 20x, 400 and 404.
    fn add_headers(&self, response: &mut Response<Body>) {
        let status = response.status();
        let shows_rate = status.is_success() || matches!(status.as_u16(), 400 | 404);
        let limiter = self
            .operation
            .and_then(|operation| self.world.limiter(operation));
        let rate = limiter
            .filter(|_| shows_rate)
            .and_then(|l| HeaderValue::from_str(&l.header()).ok());
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
            headers.insert("x-amzn-RequestId", id);
        }
        if let Some(rate) = rate {
            headers.insert("x-amzn-RateLimit-Limit", rate);
        }
    }
}

/// The whole answer's headers and half of its body, after which the connection ends.
fn truncate(answer: Answer) -> Response<Body> {
    let length = answer.body.len();
    let half = answer.body.slice(..length / 2);
    // Only what is written before the end is sent: yield once, so that it is.
    let end = async {
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::UnexpectedEof))
    };
    let parts = stream::once(async { Ok(half) }).chain(stream::once(end));
    let mut response = answer.into_response();
    *response.body_mut() = Body::from_stream(parts);
    let length = HeaderValue::from(length);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length);
    response
}
