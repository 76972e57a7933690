//! The calls that Amazon offers, each with the usage plan it starts from.

use std::fmt;

use crate::usage_plan::UsagePlan;

/// One operation of one version of one of Amazon's APIs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operation {
    /// The API: `orders`.
    pub api: &'static str,
    /// Its version: `2026-01-01`.
    pub version: &'static str,
    /// The operation as Amazon's model names it: `searchOrders`.
    pub name: &'static str,
    /// The published plan per application and seller; `None` where nothing is published.
    pub plan: Option<UsagePlan>,
    /// The published limit of the application over all its sellers; `None` where nothing is published.
    pub application_plan: Option<UsagePlan>,
}

impl Operation {
    /// The operation that `key` (`orders/2026-01-01/searchOrders`) names.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        OPERATIONS.iter().find(|operation| operation.key() == key)
    }

    /// A name that is unique across APIs and versions; part of a bucket's key.
    #[must_use]
    pub fn key(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.api, self.version, self.name)
    }
}

/// Search orders by time, with their items: the nightly sync's only call.
pub static SEARCH_ORDERS: Operation =
    operation("orders", "2026-01-01", "searchOrders", plan(0.0056, 20));
/// One order by its id.
pub static GET_ORDER: Operation = operation("orders", "2026-01-01", "getOrder", plan(0.5, 30));
/// Orders by time, without items, v0.
pub static GET_ORDERS_V0: Operation = operation("orders", "v0", "getOrders", plan(0.0167, 20));
/// The items of one order, v0.
pub static GET_ORDER_ITEMS_V0: Operation =
    operation("orders", "v0", "getOrderItems", plan(0.5, 30));
/// Asks for a report.
pub static CREATE_REPORT: Operation =
    operation("reports", "2021-06-30", "createReport", plan(0.0167, 15));
/// How far a report is.
pub static GET_REPORT: Operation = operation("reports", "2021-06-30", "getReport", plan(2.0, 15));
/// Where a finished report can be downloaded, for five minutes.
pub static GET_REPORT_DOCUMENT: Operation = operation(
    "reports",
    "2021-06-30",
    "getReportDocument",
    plan(0.0167, 15),
);
/// A restricted data token, which v0 needs for buyers' data.
pub static CREATE_RESTRICTED_DATA_TOKEN: Operation = operation(
    "tokens",
    "2021-03-01",
    "createRestrictedDataToken",
    plan(1.0, 10),
);
/// Where a seller may sell: proves that an authorization works.
pub static GET_MARKETPLACE_PARTICIPATIONS: Operation = operation(
    "sellers",
    "v1",
    "getMarketplaceParticipations",
    plan(0.016, 15),
);
/// A token from Login with Amazon, which publishes no plan.
pub static LWA_TOKEN: Operation = operation("lwa", "oauth2", "token", None);
/// A report's document, from the host that getReportDocument names: no plan, but stopped like every call.
pub static DOWNLOAD_DOCUMENT: Operation = operation("documents", "s3", "download", None);

const fn operation(
    api: &'static str,
    version: &'static str,
    name: &'static str,
    plan: Option<UsagePlan>,
) -> Operation {
    Operation {
        api,
        version,
        name,
        plan,
        application_plan: None,
    }
}

/// The same with a limit of the application over all its sellers.
const fn within(application_plan: UsagePlan, operation: Operation) -> Operation {
    Operation {
        application_plan: Some(application_plan),
        ..operation
    }
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "keeps the table below to one shape"
)]
const fn plan(rate_per_s: f64, burst: u32) -> Option<UsagePlan> {
    Some(UsagePlan::new(rate_per_s, burst))
}

/// Every published operation with its default plan.
///
/// Source: the official models, github:amzn/selling-partner-api-models commit 34dc93fe (2026-08-05); the limits per
/// application: developer-docs.amazon.com, usage-plans-and-rate-limits, which names no burst for `getCatalogItem` and the
/// definitions: there the smaller burst that is published per seller.
#[rustfmt::skip]
pub static OPERATIONS: &[Operation] = &[
    operation("lwa", "oauth2", "token", None),
    operation("documents", "s3", "download", None),
    operation("aplus-content", "2020-11-01", "validateContentDocumentAsinRelations", plan(10.0, 10)),
    operation("aplus-content", "2020-11-01", "searchContentDocuments", plan(10.0, 10)),
    operation("aplus-content", "2020-11-01", "createContentDocument", plan(10.0, 10)),
    operation("aplus-content", "2020-11-01", "getContentDocument", plan(10.0, 10)),
    operation("aplus-content", "2020-11-01", "updateContentDocument", plan(10.0, 10)),
    operation("aplus-content", "2020-11-01", "postContentDocumentApprovalSubmission", plan(10.0, 10)),
    operation("aplus-content", "2020-11-01", "listContentDocumentAsinRelations", plan(10.0, 10)),
    operation("aplus-content", "2020-11-01", "postContentDocumentAsinRelations", plan(10.0, 10)),
    operation("aplus-content", "2020-11-01", "postContentDocumentSuspendSubmission", plan(10.0, 10)),
    operation("aplus-content", "2020-11-01", "searchContentPublishRecords", plan(10.0, 10)),
    operation("application-management", "2023-11-30", "rotateApplicationClientSecret", plan(0.0167, 1)),
    within(UsagePlan::new(500.0, 2), operation("catalog-items", "2022-04-01", "searchCatalogItems", plan(2.0, 2))),
    within(UsagePlan::new(250.0, 2), operation("catalog-items", "2022-04-01", "getCatalogItem", plan(2.0, 2))),
    operation("data-kiosk", "2023-11-15", "getDocument", plan(0.0167, 15)),
    operation("data-kiosk", "2023-11-15", "getQueries", plan(0.0222, 10)),
    operation("data-kiosk", "2023-11-15", "createQuery", plan(0.0167, 15)),
    operation("data-kiosk", "2023-11-15", "cancelQuery", plan(0.0222, 10)),
    operation("data-kiosk", "2023-11-15", "getQuery", plan(2.0, 15)),
    operation("fba-inventory", "v1", "createInventoryItem", None),
    operation("fba-inventory", "v1", "addInventory", None),
    operation("fba-inventory", "v1", "deleteInventoryItem", None),
    operation("fba-inventory", "v1", "getInventorySummaries", plan(2.0, 2)),
    operation("feeds", "2021-06-30", "createFeedDocument", plan(0.5, 15)),
    operation("feeds", "2021-06-30", "getFeedDocument", plan(0.0222, 10)),
    operation("feeds", "2021-06-30", "getFeeds", plan(0.0222, 10)),
    operation("feeds", "2021-06-30", "createFeed", plan(0.0083, 15)),
    operation("feeds", "2021-06-30", "cancelFeed", plan(2.0, 15)),
    operation("feeds", "2021-06-30", "getFeed", plan(2.0, 15)),
    operation("finances", "2024-06-19", "listBalances", plan(0.5, 10)),
    operation("finances", "2024-06-19", "listSummary", plan(0.5, 10)),
    operation("finances", "2024-06-19", "listTransactions", plan(0.5, 10)),
    operation("finances", "v0", "listFinancialEventGroups", plan(0.5, 30)),
    operation("finances", "v0", "listFinancialEventsByGroupId", plan(0.5, 30)),
    operation("finances", "v0", "listFinancialEvents", plan(0.5, 30)),
    operation("finances", "v0", "listFinancialEventsByOrderId", plan(0.5, 30)),
    operation("finances-invoices", "2026-06-25", "getInvoiceHeaders", None),
    operation("finances-invoices", "2026-06-25", "getInvoice", None),
    operation("listings-items", "2021-08-01", "searchListingsItems", plan(5.0, 5)),
    operation("listings-items", "2021-08-01", "deleteListingsItem", plan(5.0, 5)),
    operation("listings-items", "2021-08-01", "getListingsItem", plan(5.0, 10)),
    operation("listings-items", "2021-08-01", "patchListingsItem", plan(5.0, 5)),
    operation("listings-items", "2021-08-01", "putListingsItem", plan(5.0, 10)),
    within(UsagePlan::new(100.0, 10), operation("listings-restrictions", "2021-08-01", "getListingsRestrictions", plan(5.0, 10))),
    operation("notifications", "v1", "getDestinations", plan(1.0, 5)),
    operation("notifications", "v1", "createDestination", plan(1.0, 5)),
    operation("notifications", "v1", "deleteDestination", plan(1.0, 5)),
    operation("notifications", "v1", "getDestination", plan(1.0, 5)),
    operation("notifications", "v1", "getSubscriptions", plan(1.0, 5)),
    operation("notifications", "v1", "getSubscription", plan(1.0, 5)),
    operation("notifications", "v1", "createSubscription", plan(1.0, 5)),
    operation("notifications", "v1", "sendTestNotification", plan(1.0, 5)),
    operation("notifications", "v1", "deleteSubscriptionById", plan(1.0, 5)),
    operation("notifications", "v1", "getSubscriptionById", plan(1.0, 5)),
    operation("orders", "2026-01-01", "searchOrders", plan(0.0056, 20)),
    operation("orders", "2026-01-01", "getOrder", plan(0.5, 30)),
    operation("orders", "v0", "getOrders", plan(0.0167, 20)),
    operation("orders", "v0", "getOrder", plan(0.5, 30)),
    operation("orders", "v0", "getOrderAddress", plan(0.5, 30)),
    operation("orders", "v0", "getOrderBuyerInfo", plan(0.5, 30)),
    operation("orders", "v0", "getOrderItems", plan(0.5, 30)),
    operation("orders", "v0", "getOrderItemsBuyerInfo", plan(0.5, 30)),
    operation("orders", "v0", "getOrderRegulatedInfo", plan(0.5, 30)),
    operation("orders", "v0", "updateVerificationStatus", plan(0.5, 30)),
    operation("orders", "v0", "updateShipmentStatus", plan(5.0, 15)),
    operation("orders", "v0", "confirmShipment", plan(2.0, 10)),
    operation("product-fees", "v0", "getMyFeesEstimates", plan(0.5, 1)),
    operation("product-fees", "v0", "getMyFeesEstimateForASIN", plan(1.0, 2)),
    operation("product-fees", "v0", "getMyFeesEstimateForSKU", plan(1.0, 2)),
    operation("product-pricing", "2022-05-01", "getCompetitiveSummary", plan(0.033, 1)),
    operation("product-pricing", "2022-05-01", "getFeaturedOfferExpectedPriceBatch", plan(0.033, 1)),
    operation("product-pricing", "v0", "getItemOffersBatch", plan(0.1, 1)),
    operation("product-pricing", "v0", "getListingOffersBatch", plan(0.5, 1)),
    operation("product-pricing", "v0", "getCompetitivePricing", plan(0.5, 1)),
    operation("product-pricing", "v0", "getItemOffers", plan(0.5, 1)),
    operation("product-pricing", "v0", "getListingOffers", plan(1.0, 2)),
    operation("product-pricing", "v0", "getPricing", plan(0.5, 1)),
    within(UsagePlan::new(100.0, 5), operation("product-type-definitions", "2020-09-01", "searchDefinitionsProductTypes", plan(5.0, 10))),
    within(UsagePlan::new(100.0, 5), operation("product-type-definitions", "2020-09-01", "getDefinitionsProductType", plan(5.0, 10))),
    operation("reports", "2021-06-30", "getReportDocument", plan(0.0167, 15)),
    operation("reports", "2021-06-30", "getReports", plan(0.0222, 10)),
    operation("reports", "2021-06-30", "createReport", plan(0.0167, 15)),
    operation("reports", "2021-06-30", "cancelReport", plan(0.0222, 10)),
    operation("reports", "2021-06-30", "getReport", plan(2.0, 15)),
    operation("reports", "2021-06-30", "getReportSchedules", plan(0.0222, 10)),
    operation("reports", "2021-06-30", "createReportSchedule", plan(0.0222, 10)),
    operation("reports", "2021-06-30", "cancelReportSchedule", plan(0.0222, 10)),
    operation("reports", "2021-06-30", "getReportSchedule", plan(0.0222, 10)),
    operation("sales", "v1", "getOrderMetrics", plan(0.5, 15)),
    operation("sellers", "v1", "getAccount", plan(0.016, 15)),
    operation("sellers", "v1", "getMarketplaceParticipations", plan(0.016, 15)),
    operation("tokens", "2021-03-01", "createRestrictedDataToken", plan(1.0, 10)),
    operation("tracking", "2026-01-30", "getShipmentTracking", None),
    operation("transfers", "2024-06-01", "getPaymentMethods", plan(0.5, 30)),
    operation("transfers", "2024-06-01", "listPayouts", plan(0.5, 10)),
    operation("transfers", "2024-06-01", "initiatePayout", plan(0.017, 2)),
    operation("transfers", "2024-06-01", "listExpectedPayouts", plan(0.5, 10)),
    operation("uploads", "2020-11-01", "createUploadDestinationForResource", plan(10.0, 10)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operations_that_the_fleet_calls_are_in_the_table_with_the_same_plan() {
        for used in [
            &SEARCH_ORDERS,
            &GET_ORDER,
            &GET_ORDERS_V0,
            &GET_ORDER_ITEMS_V0,
            &CREATE_REPORT,
            &GET_REPORT,
            &GET_REPORT_DOCUMENT,
            &CREATE_RESTRICTED_DATA_TOKEN,
            &GET_MARKETPLACE_PARTICIPATIONS,
            &LWA_TOKEN,
            &DOWNLOAD_DOCUMENT,
        ] {
            assert_eq!(Operation::find(&used.key()), Some(used));
        }
    }

    #[test]
    fn no_two_operations_share_a_key() {
        let mut keys: Vec<String> = OPERATIONS.iter().map(Operation::key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), OPERATIONS.len());
    }
}
