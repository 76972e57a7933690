//! The shape of an order in Orders 2026-01-01: what this simulator fills of Amazon's model.

use serde::Serialize;

/// An order, with the data sets that were asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document<'a> {
    pub(crate) order_id: &'a str,
    pub(crate) order_aliases: Vec<Alias<'a>>,
    pub(crate) created_time: String,
    pub(crate) last_updated_time: String,
    pub(crate) programs: Vec<&'static str>,
    pub(crate) sales_channel: SalesChannel,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) buyer: Option<Buyer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recipient: Option<Recipient<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proceeds: Option<OrderProceeds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payment: Option<Payment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fulfillment: Option<Fulfillment>,
    pub(crate) order_items: Vec<OrderItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) packages: Option<Vec<Package<'a>>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Alias<'a> {
    pub(crate) alias_id: &'a str,
    pub(crate) alias_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SalesChannel {
    pub(crate) channel_name: &'static str,
    pub(crate) marketplace_id: &'static str,
    pub(crate) marketplace_name: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Buyer<'a> {
    pub(crate) buyer_name: &'a str,
    pub(crate) buyer_email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) buyer_company_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) buyer_purchase_order_number: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recipient<'a> {
    pub(crate) delivery_address: DeliveryAddress<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryAddress<'a> {
    pub(crate) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) company_name: Option<&'a str>,
    pub(crate) address_line1: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address_line2: Option<&'a str>,
    pub(crate) city: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_or_region: Option<&'static str>,
    pub(crate) postal_code: &'a str,
    pub(crate) country_code: &'static str,
    pub(crate) phone: &'a str,
    pub(crate) address_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Money {
    pub(crate) amount: String,
    pub(crate) currency_code: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Breakdown {
    pub(crate) r#type: &'static str,
    pub(crate) subtotal: Money,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderProceeds {
    pub(crate) grand_total: Money,
    pub(crate) breakdowns: Vec<Breakdown>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) payment_executions: Vec<PaymentExecution>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentExecution {
    pub(crate) payment_method: &'static str,
    pub(crate) payment_amount: Money,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TimeRange {
    pub(crate) earliest_date_time: String,
    pub(crate) latest_date_time: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fulfillment {
    pub(crate) fulfillment_status: &'static str,
    pub(crate) fulfilled_by: &'static str,
    pub(crate) fulfillment_service_level: &'static str,
    pub(crate) ship_by_window: TimeRange,
    pub(crate) deliver_by_window: TimeRange,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderItem<'a> {
    pub(crate) order_item_id: &'a str,
    pub(crate) quantity_ordered: u32,
    pub(crate) product: Product<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proceeds: Option<ItemProceeds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) promotion: Option<Promotion<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cancellation: Option<Cancellation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fulfillment: Option<ItemFulfillment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tax: Option<ItemTax>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Product<'a> {
    pub(crate) asin: &'a str,
    pub(crate) title: &'static str,
    pub(crate) seller_sku: &'a str,
    pub(crate) condition: Condition,
    pub(crate) price: Price,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Condition {
    pub(crate) condition_type: &'static str,
    pub(crate) condition_subtype: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Price {
    pub(crate) unit_price: Money,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemProceeds {
    pub(crate) proceeds_total: Money,
    pub(crate) breakdowns: Vec<Breakdown>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Promotion<'a> {
    pub(crate) breakdowns: Vec<PromotionBreakdown<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromotionBreakdown<'a> {
    pub(crate) promotion_id: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cancellation {
    pub(crate) cancellation_request: CancellationRequest,
    pub(crate) cancellation_execution: CancellationExecution,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancellationRequest {
    pub(crate) requester: &'static str,
    pub(crate) cancel_reason: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancellationExecution {
    pub(crate) cancelled_by: &'static str,
    pub(crate) cancel_reason: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemFulfillment {
    pub(crate) quantity_fulfilled: u32,
    pub(crate) quantity_unfulfilled: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) packing: Option<Packing>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Packing {
    pub(crate) gift_option: GiftOption,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GiftOption {
    pub(crate) gift_message: &'static str,
    pub(crate) gift_wrap_level: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ItemTax {
    pub(crate) tax_collections: Vec<TaxCollection>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaxCollection {
    pub(crate) model: &'static str,
    pub(crate) responsible_party: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Package<'a> {
    pub(crate) package_reference_id: String,
    pub(crate) created_time: String,
    pub(crate) package_status: PackageStatus,
    pub(crate) carrier: &'static str,
    pub(crate) ship_time: String,
    pub(crate) shipping_service: &'static str,
    pub(crate) tracking_number: &'a str,
    pub(crate) package_items: Vec<PackageItem<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PackageStatus {
    pub(crate) status: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PackageItem<'a> {
    pub(crate) order_item_id: &'a str,
    pub(crate) quantity: u32,
}
