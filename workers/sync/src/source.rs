//! Where a page comes from: Orders 2026-01-01, or v0 as the fallback.

mod v0;

use bulkhead_amazon::{
    CallError, Called, Order, SellerAccess, SpApi,
    orders::{IncludedData, OrdersQuery, PaginationToken, Since},
};
use bulkhead_domain::{Dataset, FenceEpoch, Operation, operation::SEARCH_ORDERS};
use bulkhead_store::{Checkpoint, EnteredConnection};
use bulkhead_vault::AccessToken;
use bulkhead_worker::{BudgetNews, End, Gate, JobContext};
use jiff::Timestamp;

use self::v0::RestrictedTokens;

/// Orders in one page: the most that Amazon gives.
const PAGE_SIZE: u8 = 100;

/// Branches of an order without anything that says who the buyer is.
const WITHOUT_PII: [IncludedData; 8] = [
    IncludedData::Proceeds,
    IncludedData::Expense,
    IncludedData::Promotion,
    IncludedData::Cancellation,
    IncludedData::Fulfillment,
    IncludedData::Packages,
    IncludedData::Payment,
    IncludedData::FulfillmentOrders,
];

/// A page, whichever way it came.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) orders: Vec<Order>,
    pub(crate) next: Option<String>,
    /// Everything that changed before this is on the pass's pages.
    pub(crate) complete_until: Option<Timestamp>,
}

/// The connection's access token, and the epoch of its fences when it was read.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) token: AccessToken,
    pub(crate) epoch: FenceEpoch,
}

/// The client, and what must be remembered between two pages.
#[derive(Debug)]
pub(crate) struct Source {
    api: SpApi,
    restricted: RestrictedTokens,
}

impl Source {
    pub(crate) fn new(api: SpApi) -> Self {
        Self {
            api,
            restricted: RestrictedTokens::default(),
        }
    }

    /// Fetches the page at which `checkpoint` stands.
    ///
    /// # Errors
    /// The outer one: there was no permit. The inner one: Amazon's answer.
    pub(crate) async fn fetch(
        &self,
        gate: &Gate,
        context: &JobContext,
        dataset: Dataset,
        connection: &EnteredConnection,
        access: &Access,
        checkpoint: &Checkpoint,
    ) -> Result<Result<Page, CallError>, End> {
        match dataset {
            Dataset::Orders => {
                self.search(gate, context, connection, access, checkpoint)
                    .await
            }
            Dataset::OrdersV0 => self.v0(gate, context, connection, access, checkpoint).await,
        }
    }

    async fn search(
        &self,
        gate: &Gate,
        context: &JobContext,
        connection: &EnteredConnection,
        access: &Access,
        checkpoint: &Checkpoint,
    ) -> Result<Result<Page, CallError>, End> {
        let query = OrdersQuery {
            since: Since::LastUpdated(since(checkpoint)),
            before: None,
            marketplace_ids: connection.marketplace_ids.clone(),
            page_size: PAGE_SIZE,
            pagination_token: checkpoint.page_token.clone().map(PaginationToken::new),
            included_data: included_data(connection),
        };
        let permit = gate.permit(context, &SEARCH_ORDERS, access.epoch).await?;
        let seller = SellerAccess {
            region: connection.region,
            access_token: &access.token,
        };
        let called = self.api.search_orders(permit, &seller, &query).await;
        learn(gate, context, &SEARCH_ORDERS, &called).await?;
        Ok(called.map(|called| Page {
            orders: called.value.orders,
            next: called.value.next_token.map(|next| next.as_str().to_owned()),
            complete_until: called.value.last_updated_before,
        }))
    }
}

/// Takes in what the answer to a call says of its operation's budget.
async fn learn<T>(
    gate: &Gate,
    context: &JobContext,
    operation: &'static Operation,
    called: &Result<Called<T>, CallError>,
) -> Result<(), End> {
    let meta = match called {
        Ok(called) => Some(&called.meta),
        Err(error) => error.meta(),
    };
    let news = match (called, meta) {
        (Err(CallError::Throttled { limit, meta }), _) => BudgetNews::Throttled {
            limit: *limit,
            retry_after: meta.retry_after,
        },
        (_, Some(meta)) => meta
            .reported_rate_per_s()
            .map_or(BudgetNews::Nothing, BudgetNews::Rate),
        (_, None) => BudgetNews::Nothing,
    };
    gate.learn(context, operation, news).await
}

/// Only the data that the connection is there for: asking for more would be refused, or worse, granted.
fn included_data(connection: &EnteredConnection) -> Vec<IncludedData> {
    if connection.includes_pii {
        return IncludedData::ALL.to_vec();
    }
    WITHOUT_PII.to_vec()
}

/// From when on the running pass asks; a pass is always running here.
fn since(checkpoint: &Checkpoint) -> Timestamp {
    checkpoint.pass_after.unwrap_or(Timestamp::UNIX_EPOCH)
}
