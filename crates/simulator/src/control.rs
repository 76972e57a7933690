//! `/_simulator/…`: looking at clients' requests, and making things happen.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    books,
    clock::iso_ms,
    faults::{Fault, Kind},
    operation,
    ready::Ready,
    seller::Seller,
    server::Shared,
    usage_plan::UsagePlan,
    world::World,
};

const MAX_ARRIVALS: u32 = 100_000;

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/ready", get(ready))
        .route("/requests", get(requests))
        .route("/counts", get(counts))
        .route("/served/{seller_id}", get(served))
        .route("/orders/{seller_id}", get(orders))
        .route(
            "/faults",
            get(list_faults).post(add_fault).delete(clear_faults),
        )
        .route("/plans", post(change_plan))
        .route("/clock", get(clock))
        .route("/clock/advance", post(advance))
        .route("/orders/arrive", post(arrive))
        .route("/authorize", post(authorize))
        .fallback(unknown)
}

type Answer = Result<Json<Value>, Problem>;

/// A control call that cannot be done, with the reason.
pub(crate) struct Problem(StatusCode, String);

impl Problem {
    fn bad(reason: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, reason.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

async fn unknown() -> Problem {
    Problem(
        StatusCode::NOT_FOUND,
        "no such control; see amazon-simulator --help".into(),
    )
}

async fn ready(State(shared): State<Shared>) -> Json<Ready> {
    Json(Ready::of(&shared.world))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFilter {
    #[serde(default)]
    after: u64,
    operation: Option<String>,
    seller: Option<String>,
    limit: Option<usize>,
}

async fn requests(State(shared): State<Shared>, query: Query<RequestFilter>) -> Answer {
    let (world, Query(filter)) = (&*shared.world, query);
    let operation = filter
        .operation
        .as_deref()
        .map(find_operation)
        .transpose()?;
    let seller = filter
        .seller
        .as_deref()
        .map(|id| find_seller(world, id))
        .transpose()?;
    let entries = world.journal.since(filter.after);
    let entries = entries.map_err(|dropped| Problem(StatusCode::GONE, dropped.to_string()))?;
    let list: Vec<_> = entries
        .iter()
        .filter(|(_, entry)| operation.is_none() || entry.operation == operation)
        .filter(|(_, entry)| seller.is_none() || entry.seller == seller.map(|seller| seller.index))
        .take(filter.limit.unwrap_or(usize::MAX))
        .map(|(sequence, entry)| books::request(world, *sequence, entry))
        .collect();
    Ok(Json(json!(list)))
}

async fn counts(State(shared): State<Shared>) -> Json<Value> {
    Json(books::counts(&shared.world))
}

async fn served(State(shared): State<Shared>, Path(seller_id): Path<String>) -> Answer {
    let world = &*shared.world;
    Ok(Json(json!(books::served(
        world,
        find_seller(world, &seller_id)?
    ))))
}

async fn orders(State(shared): State<Shared>, Path(seller_id): Path<String>) -> Answer {
    let world = &*shared.world;
    Ok(Json(json!(books::orders(
        world,
        find_seller(world, &seller_id)?
    ))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    kind: Kind,
    operation: Option<String>,
    seller_id: Option<String>,
    count: Option<u64>,
    #[serde(default)]
    after: u64,
    probability: Option<f64>,
}

impl NewFault {
    /// A lasting fault without conditions happens now; all others wait for their requests.
    fn is_immediate(&self) -> bool {
        let unconditional = self.operation.is_none() && self.count.is_none() && self.after == 0;
        self.kind.is_lasting() && unconditional && self.probability.is_none()
    }
}

async fn add_fault(State(shared): State<Shared>, body: Bytes) -> Answer {
    let (world, new) = (&*shared.world, read::<NewFault>(&body)?);
    let seller = new
        .seller_id
        .as_deref()
        .map(|id| find_seller(world, id))
        .transpose()?;
    let seller = seller.map(|seller| seller.index);
    if new.is_immediate() {
        world
            .grants_of(seller)
            .iter()
            .for_each(|grant| new.kind.apply(grant));
        return list_faults(State(shared)).await;
    }
    let probability = new.probability.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&probability) {
        return Err(Problem::bad("probability must be from 0 to 1"));
    }
    world.faults.add(Fault {
        kind: new.kind,
        operation: new.operation.as_deref().map(find_operation).transpose()?,
        seller,
        after: new.after,
        count: new.count,
        probability,
        hits: 0,
    });
    list_faults(State(shared)).await
}

async fn list_faults(State(shared): State<Shared>) -> Answer {
    let world = &*shared.world;
    let faults: Vec<_> = world
        .faults
        .list()
        .iter()
        .map(|fault| books::fault(world, fault))
        .collect();
    Ok(Json(
        json!({"faults": faults, "revoked": books::revoked(world)}),
    ))
}

/// Disarms all faults and lifts revocations; expired tokens stay expired.
async fn clear_faults(State(shared): State<Shared>) -> Answer {
    shared.world.faults.clear();
    shared
        .world
        .grants
        .iter()
        .for_each(|grant| grant.set_revoked(false));
    list_faults(State(shared)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPlan {
    operation: String,
    /// At Amazon's pace, as plans are published.
    rate_per_s: f64,
    burst: u32,
    #[serde(default = "yes")]
    announced: bool,
}

const fn yes() -> bool {
    true
}

async fn change_plan(State(shared): State<Shared>, body: Bytes) -> Answer {
    let (world, new) = (&*shared.world, read::<NewPlan>(&body)?);
    let operation = find_operation(&new.operation)?;
    let limiter = world
        .limiter(operation)
        .ok_or_else(|| Problem::bad(format!("{} has no plan", new.operation)))?;
    if !(1e-6..=1e6).contains(&new.rate_per_s) || !(1..=100_000).contains(&new.burst) {
        return Err(Problem::bad(
            "rate_per_s must be from 0.000001 to 1000000, burst from 1 to 100000",
        ));
    }
    let plan = UsagePlan {
        rate_per_s: new.rate_per_s,
        burst: new.burst,
    };
    limiter.change(plan, new.announced);
    Ok(Json(json!({"header": limiter.header()})))
}

async fn clock(State(shared): State<Shared>) -> Answer {
    let now = shared.world.clock.now_ms();
    Ok(Json(
        json!({"now": iso_ms(now), "now_ms": now, "time_scale": shared.world.pace.scale()}),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    ms: u64,
}

async fn advance(State(shared): State<Shared>, body: Bytes) -> Answer {
    const MAX_MS: u64 = 10 * 365 * 86_400_000;
    let Advance { ms } = read(&body)?;
    if ms > MAX_MS {
        return Err(Problem::bad("ms must be at most ten years"));
    }
    shared.world.clock.advance(ms);
    clock(State(shared)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arrive {
    seller_id: String,
    count: u32,
}

async fn arrive(State(shared): State<Shared>, body: Bytes) -> Answer {
    let (world, Arrive { seller_id, count }) = (&*shared.world, read(&body)?);
    let seller = find_seller(world, &seller_id)?;
    if count > MAX_ARRIVALS {
        return Err(Problem::bad(format!(
            "count must be at most {MAX_ARRIVALS}"
        )));
    }
    let now = world.clock.now_ms();
    let order_ids = seller
        .arrive(count, now)
        .ok_or_else(|| Problem::bad("the seller has as many orders as the simulator can keep"))?;
    Ok(Json(
        json!({"order_ids": order_ids, "created_time": iso_ms(now)}),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    seller_id: String,
    /// Another application than the one that the seller has authorized from the start.
    client_id: Option<String>,
}

/// The seller consents on Amazon's page: a code for `grant_type=authorization_code`.
async fn authorize(State(shared): State<Shared>, body: Bytes) -> Answer {
    let (world, new) = (&*shared.world, read::<Authorize>(&body)?);
    let seller_id = new.seller_id;
    let seller = find_seller(world, &seller_id)?;
    let application = match new.client_id {
        Some(client_id) => world
            .application(&client_id)
            .ok_or_else(|| Problem::bad(format!("no application {client_id}")))?,
        None => seller.application,
    };
    let code = world.codes.issue(world, seller.index, application);
    Ok(Json(
        json!({"spapi_oauth_code": code, "selling_partner_id": seller_id}),
    ))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::bad(format!("request body: {error}")))
}

fn find_seller<'a>(world: &'a World, seller_id: &str) -> Result<&'a Seller, Problem> {
    world
        .seller(seller_id)
        .ok_or_else(|| Problem(StatusCode::NOT_FOUND, format!("no seller {seller_id}")))
}

fn find_operation(name: &str) -> Result<usize, Problem> {
    operation::position(name).ok_or_else(|| {
        let known: Vec<_> = operation::OPERATIONS
            .iter()
            .map(|operation| operation.key)
            .collect();
        Problem::bad(format!(
            "no operation {name}; there are {}",
            known.join(", ")
        ))
    })
}
