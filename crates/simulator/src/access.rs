//! Whom a request's token stands for.

use axum::http::{HeaderMap, Method};

use crate::{answer::Refusal, clock::UnixMs, restricted::Resource, world::World};

/// A valid token's holder.
pub(crate) struct Access {
    pub(crate) seller: u32,
    pub(crate) application: u16,
    /// What its restricted data token covers, if it is one.
    pub(crate) restricted: Option<Resource>,
}

impl Access {
    /// Whether the request may be made at all.
    ///
    /// # Errors
    /// 403, in the words for each reason.
    pub(crate) fn check(
        world: &World,
        headers: &HeaderMap,
        method: &Method,
        path: &str,
        now: UnixMs,
    ) -> Result<Self, Refusal> {
        let text = token(headers).ok_or_else(Refusal::missing_token)?;
        let holder = Holder::read(world, text).ok_or_else(|| {
            Refusal::denied("The access token you provided is revoked, malformed or invalid.")
        })?;
        // A grantless token opens none of the operations that are simulated.
        let seller = holder.seller.ok_or_else(|| Refusal::denied(""))?;
        let grant = &world.grants[seller as usize];
        if grant.is_revoked() {
            return Err(Refusal::denied(
                "The access token you provided is revoked, malformed or invalid.",
            ));
        }
        if now >= holder.expires || holder.generation != grant.generation() {
            return Err(Refusal::denied(
                "The access token you provided has expired.",
            ));
        }
        let restricted = match world.restricted.read(text) {
            Some(token) => Some(
                token
                    .covers(method, path)
                    .ok_or_else(|| Refusal::denied(""))?,
            ),
            None => None,
        };
        Ok(Self {
            seller,
            application: holder.application,
            restricted,
        })
    }
}

/// What either kind of token says.
struct Holder {
    application: u16,
    seller: Option<u32>,
    generation: u32,
    expires: UnixMs,
}

impl Holder {
    fn read(world: &World, text: &str) -> Option<Self> {
        if let Some(token) = world.restricted.read(text) {
            return Some(Self {
                application: token.application,
                seller: Some(token.seller),
                generation: token.generation,
                expires: token.expires,
            });
        }
        let token = world.mint.read(text)?;
        let known = token
            .seller
            .is_none_or(|seller| (seller as usize) < world.sellers.len());
        known.then_some(Self {
            application: token.application,
            seller: token.seller,
            generation: token.generation,
            expires: token.expires,
        })
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("x-amz-access-token")
        .and_then(|value| value.to_str().ok())
}

/// Seller and application of the token that was sent, valid or not.
pub(crate) fn holder(world: &World, headers: &HeaderMap) -> (Option<u32>, Option<u16>) {
    let holder = token(headers).and_then(|text| Holder::read(world, text));
    holder.map_or((None, None), |holder| {
        (holder.seller, Some(holder.application))
    })
}
