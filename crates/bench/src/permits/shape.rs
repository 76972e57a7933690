//! The shapes of usage plans that are tried, each by one operation.

use bulkhead_domain::{Operation, UsagePlan};

/// One operation, and how much faster than Amazon's its time runs here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) key: &'static str,
    /// Rates are multiplied by this. Jitter is not divided by it, so a slow plan is harder to keep here than at Amazon.
    pub(crate) scale: f64,
}

/// One of each shape: 0.0056/20, 0.0167/20, 0.5/30, 2/2, 5/10, 0.5/1.
pub(crate) static SHAPES: [Shape; 6] = [
    shape("orders/2026-01-01/searchOrders", 300.0),
    shape("orders/v0/getOrders", 100.0),
    shape("orders/v0/getOrderItems", 4.0),
    shape("fba-inventory/v1/getInventorySummaries", 1.0),
    shape("listings-items/2021-08-01/getListingsItem", 1.0),
    shape("product-pricing/v0/getPricing", 1.0),
];

const fn shape(key: &'static str, scale: f64) -> Shape {
    Shape { key, scale }
}

impl Shape {
    /// The operation; all shapes name one that has a plan, or a test fails.
    pub(crate) fn operation(&self) -> &'static Operation {
        Operation::find(self.key).unwrap_or(&bulkhead_domain::operation::SEARCH_ORDERS)
    }

    /// As Amazon publishes it.
    pub(crate) fn published(&self) -> UsagePlan {
        self.operation().plan.unwrap_or(UsagePlan::new(1.0, 1))
    }

    /// In the time of this run.
    pub(crate) fn plan(&self) -> UsagePlan {
        self.published().scaled(self.scale)
    }

    /// `0.0056/20`.
    pub(crate) fn name(&self) -> String {
        let plan = self.published();
        format!("{}/{}", plan.rate_per_s, plan.burst)
    }

    /// The call's path and query.
    pub(crate) fn path(&self, seller: &str, marketplace: &str) -> String {
        match self.operation().name {
            "searchOrders" => {
                "/orders/2026-01-01/orders?lastUpdatedAfter=2020-01-01T00:00:00Z".to_owned()
            }
            "getOrders" => format!(
                "/orders/v0/orders?MarketplaceIds={marketplace}&LastUpdatedAfter=2020-01-01T00:00:00Z"
            ),
            // Nobody's order: a 404 is within the plan like any answer.
            "getOrderItems" => "/orders/v0/orders/902-0000000-0000000/orderItems".to_owned(),
            "getInventorySummaries" => format!(
                "/fba/inventory/v1/summaries?granularityType=Marketplace&granularityId={marketplace}&marketplaceIds={marketplace}"
            ),
            "getListingsItem" => {
                format!("/listings/2021-08-01/items/{seller}/SKU?marketplaceIds={marketplace}")
            }
            _ => format!(
                "/products/pricing/v0/price?MarketplaceId={marketplace}&ItemType=Asin&Asins=B000000000"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_is_that_of_a_published_plan() {
        let names: Vec<_> = SHAPES.iter().map(Shape::name).collect();
        assert_eq!(
            names,
            ["0.0056/20", "0.0167/20", "0.5/30", "2/2", "5/10", "0.5/1"]
        );
        assert!(
            SHAPES
                .iter()
                .all(|shape| shape.operation().key() == shape.key)
        );
    }
}
