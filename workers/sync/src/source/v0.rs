//! The fallback: orders by getOrders, then the items of each by getOrderItems.
//!
//! A page is small enough that its items' calls fit into getOrderItems' burst, which refills until getOrders may be
//! called again. If it does not, since somebody else has used the budget, the page is dropped and fetched again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bulkhead_amazon::{
    CallError, Order, SellerAccess,
    orders::{PaginationToken, Since},
    orders_v0::OrdersV0Query,
    restricted_data::ORDERS_V0,
};
use bulkhead_domain::{
    ConnectionId, FenceEpoch,
    operation::{CREATE_RESTRICTED_DATA_TOKEN, GET_ORDER_ITEMS_V0, GET_ORDERS_V0},
};
use bulkhead_store::{Checkpoint, EnteredConnection};
use bulkhead_vault::AccessToken;
use bulkhead_worker::{End, Gate, JobContext};
use jiff::Timestamp;

use super::{Access, Page, Source, learn, since};

/// getOrderItems: burst 30, 30 a minute; getOrders: one a minute.
const PAGE_SIZE: u8 = 25;

/// A restricted data token is not used in its last share of this.
const SHARE_LEFT: f64 = 0.05;

/// Restricted data tokens by connection, for as long as they live. In memory only.
#[derive(Debug, Default)]
pub(super) struct RestrictedTokens(Mutex<HashMap<ConnectionId, Restricted>>);

#[derive(Debug)]
struct Restricted {
    token: AccessToken,
    until: Timestamp,
    /// Of the access token that it was asked for with: after a release another one is asked for.
    epoch: FenceEpoch,
}

impl RestrictedTokens {
    fn get(&self, connection: ConnectionId, epoch: FenceEpoch) -> Option<AccessToken> {
        let now = Timestamp::now();
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, restricted| restricted.until > now);
        let restricted = tokens.get(&connection)?;
        (restricted.epoch == epoch).then(|| restricted.token.clone())
    }

    fn put(&self, connection: ConnectionId, restricted: Restricted) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(connection, restricted);
    }

    fn forget(&self, connection: ConnectionId) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.remove(&connection);
    }
}

fn usable_until(expires_in: Duration) -> Timestamp {
    let usable = expires_in.mul_f64(1.0 - SHARE_LEFT);
    Timestamp::now()
        .saturating_add(usable)
        .unwrap_or(Timestamp::MAX)
}

impl Source {
    pub(super) async fn v0(
        &self,
        gate: &Gate,
        context: &JobContext,
        connection: &EnteredConnection,
        access: &Access,
        checkpoint: &Checkpoint,
    ) -> Result<Result<Page, CallError>, End> {
        let token = match self.v0_token(gate, context, connection, access).await? {
            Ok(token) => token,
            Err(refused) => return Ok(Err(refused)),
        };
        let seller = SellerAccess {
            region: connection.region,
            access_token: &token,
        };
        let page = self
            .v0_page(gate, context, connection, access.epoch, &seller, checkpoint)
            .await?;
        if let Err(CallError::TokenExpired { .. } | CallError::TokenRejected { .. }) = &page {
            self.restricted.forget(context.job.connection);
        }
        Ok(page)
    }

    /// The access token, or, where buyers' data are wanted, a restricted data token in its place.
    async fn v0_token(
        &self,
        gate: &Gate,
        context: &JobContext,
        connection: &EnteredConnection,
        access: &Access,
    ) -> Result<Result<AccessToken, CallError>, End> {
        if !connection.includes_pii {
            return Ok(Ok(access.token.clone()));
        }
        if let Some(restricted) = self.restricted.get(context.job.connection, access.epoch) {
            return Ok(Ok(restricted));
        }
        let permit = gate
            .permit(context, &CREATE_RESTRICTED_DATA_TOKEN, access.epoch)
            .await?;
        let seller = SellerAccess {
            region: connection.region,
            access_token: &access.token,
        };
        let called = self
            .api
            .create_restricted_data_token(permit, &seller, &ORDERS_V0)
            .await;
        learn(gate, context, &CREATE_RESTRICTED_DATA_TOKEN, &called).await?;
        Ok(called.map(|called| {
            let restricted = called.value;
            let usable = Restricted {
                token: restricted.token.clone(),
                until: usable_until(restricted.expires_in),
                epoch: access.epoch,
            };
            self.restricted.put(context.job.connection, usable);
            restricted.token
        }))
    }

    async fn v0_page(
        &self,
        gate: &Gate,
        context: &JobContext,
        connection: &EnteredConnection,
        epoch: FenceEpoch,
        seller: &SellerAccess<'_>,
        checkpoint: &Checkpoint,
    ) -> Result<Result<Page, CallError>, End> {
        let query = OrdersV0Query {
            since: Since::LastUpdated(since(checkpoint)),
            before: None,
            marketplace_ids: connection.marketplace_ids.clone(),
            page_size: PAGE_SIZE,
            next_token: checkpoint.page_token.clone().map(PaginationToken::new),
        };
        let permit = gate.permit(context, &GET_ORDERS_V0, epoch).await?;
        let called = self.api.get_orders_v0(permit, seller, &query).await;
        learn(gate, context, &GET_ORDERS_V0, &called).await?;
        let called = match called {
            Ok(called) => called.value,
            Err(error) => return Ok(Err(error)),
        };
        let mut orders = Vec::with_capacity(called.orders.len());
        for order in called.orders {
            match self.v0_items(gate, context, epoch, seller, order).await? {
                Ok(order) => orders.push(order),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        Ok(Ok(Page {
            orders,
            next: called.next_token.map(|next| next.as_str().to_owned()),
            complete_until: called.last_updated_before,
        }))
    }

    async fn v0_items(
        &self,
        gate: &Gate,
        context: &JobContext,
        epoch: FenceEpoch,
        seller: &SellerAccess<'_>,
        order: Order,
    ) -> Result<Result<Order, CallError>, End> {
        let mut pages = Vec::new();
        let mut next = None;
        loop {
            let permit = gate.permit(context, &GET_ORDER_ITEMS_V0, epoch).await?;
            let called = self
                .api
                .get_order_items_v0(permit, seller, &order.order_id, next.as_ref())
                .await;
            learn(gate, context, &GET_ORDER_ITEMS_V0, &called).await?;
            let page = match called {
                Ok(called) => called.value,
                Err(error) => return Ok(Err(error)),
            };
            next = page.next_token.clone();
            pages.push(page);
            if next.is_none() {
                return Ok(Ok(order.with_items_v0(pages)));
            }
        }
    }
}
