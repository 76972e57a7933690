//! The operations that are simulated, each with its path, its usage plan and what answers it.

use axum::http::Method;

use crate::{
    answer::{Answer, Refusal},
    call::{OpenCall, SellerCall},
    items, lwa, orders, reports, restricted, sellers,
    usage_plan::UsagePlan,
};

/// One operation of one version of an API.
#[derive(Debug)]
pub(crate) struct Operation {
    /// API, version and name: `orders/2026-01-01/searchOrders`.
    pub(crate) key: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// The published default plan, at Amazon's pace.
    pub(crate) plan: Option<UsagePlan>,
    pub(crate) handler: Handler,
}

/// Who may call, and what answers.
#[derive(Debug)]
pub(crate) enum Handler {
    /// Anyone: the call carries its own credentials.
    Open(fn(&OpenCall<'_>) -> Answer),
    /// An application with a seller's access token.
    Seller(fn(&SellerCall<'_>) -> Result<Answer, Refusal>),
}

impl Operation {
    /// Whether `name` means this operation: its key, or the last part of it.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.key == name || self.key.rsplit('/').next() == Some(name)
    }

    /// The part of `path` that stands for the template's last `{parameter}`; empty if it has none.
    pub(crate) fn path_parameter<'a>(&self, path: &'a str) -> &'a str {
        let parts = self.path.split('/').zip(path.split('/'));
        parts
            .filter(|(part, _)| part.starts_with('{'))
            .last()
            .map_or("", |(_, value)| value)
    }
}

/// Every operation. Rates and bursts: github:amzn/selling-partner-api-models @34dc93fe.
#[rustfmt::skip]
pub(crate) static OPERATIONS: &[Operation] = &[
    open("lwa/oauth2/token", Method::POST, "/auth/o2/token", lwa::token),
    seller("sellers/v1/getMarketplaceParticipations", Method::GET, "/sellers/v1/marketplaceParticipations", (0.016, 15), sellers::marketplace_participations),
    seller("orders/2026-01-01/searchOrders", Method::GET, "/orders/2026-01-01/orders", (0.0056, 20), orders::v2026::search),
    seller("orders/2026-01-01/getOrder", Method::GET, "/orders/2026-01-01/orders/{orderId}", (0.5, 30), orders::v2026::get),
    seller("orders/v0/getOrders", Method::GET, "/orders/v0/orders", (0.0167, 20), orders::v0::search),
    seller("orders/v0/getOrder", Method::GET, "/orders/v0/orders/{orderId}", (0.5, 30), orders::v0::get),
    seller("orders/v0/getOrderItems", Method::GET, "/orders/v0/orders/{orderId}/orderItems", (0.5, 30), orders::v0::items),
    seller("tokens/2021-03-01/createRestrictedDataToken", Method::POST, "/tokens/2021-03-01/restrictedDataToken", (1.0, 10), restricted::create),
    seller("reports/2021-06-30/createReport", Method::POST, "/reports/2021-06-30/reports", (0.0167, 15), reports::create),
    seller("reports/2021-06-30/getReports", Method::GET, "/reports/2021-06-30/reports", (0.0222, 10), reports::list),
    seller("reports/2021-06-30/getReport", Method::GET, "/reports/2021-06-30/reports/{reportId}", (2.0, 15), reports::get),
    seller("reports/2021-06-30/cancelReport", Method::DELETE, "/reports/2021-06-30/reports/{reportId}", (0.0222, 10), reports::cancel),
    seller("reports/2021-06-30/getReportDocument", Method::GET, "/reports/2021-06-30/documents/{reportDocumentId}", (0.0167, 15), reports::document),
    seller("fba-inventory/v1/getInventorySummaries", Method::GET, "/fba/inventory/v1/summaries", (2.0, 2), items::inventory),
    seller("listings-items/2021-08-01/getListingsItem", Method::GET, "/listings/2021-08-01/items/{sellerId}/{sku}", (5.0, 10), items::listing),
    seller("product-pricing/v0/getPricing", Method::GET, "/products/pricing/v0/price", (0.5, 1), items::pricing),
    open("storage/s3/download", Method::GET, "/_storage/{reportDocumentId}", reports::download),
];

/// The operation that `name` means, by position in [`OPERATIONS`].
pub(crate) fn position(name: &str) -> Option<usize> {
    let exact = OPERATIONS
        .iter()
        .position(|operation| operation.key == name);
    exact.or_else(|| {
        OPERATIONS
            .iter()
            .position(|operation| operation.is_called(name))
    })
}

const fn open(
    key: &'static str,
    method: Method,
    path: &'static str,
    handler: fn(&OpenCall<'_>) -> Answer,
) -> Operation {
    let (plan, handler) = (None, Handler::Open(handler));
    Operation {
        key,
        method,
        path,
        plan,
        handler,
    }
}

const fn seller(
    key: &'static str,
    method: Method,
    path: &'static str,
    (rate_per_s, burst): (f64, u32),
    handler: fn(&SellerCall<'_>) -> Result<Answer, Refusal>,
) -> Operation {
    let (plan, handler) = (
        Some(UsagePlan { rate_per_s, burst }),
        Handler::Seller(handler),
    );
    Operation {
        key,
        method,
        path,
        plan,
        handler,
    }
}
