//! An order as Orders 2026-01-01 shows it.

use super::{
    shape_v2026::{
        Alias, Breakdown, Buyer, Cancellation, CancellationExecution, CancellationRequest,
        Condition, DeliveryAddress, Document, Fulfillment, GiftOption, ItemFulfillment,
        ItemProceeds, ItemTax, Money, OrderItem, OrderProceeds, Package, PackageItem,
        PackageStatus, Packing, Payment, PaymentExecution, Price, Product, Promotion,
        PromotionBreakdown, Recipient, SalesChannel, TaxCollection, TimeRange,
    },
    sweep::Found,
};
use crate::{
    answer::Refusal,
    call::SellerCall,
    clock::{UnixMs, iso_ms},
    life::Phase,
    marketplace::Marketplace,
    order::{self, Item, Order, amount},
};

const DATA_SETS: &[&str] = &[
    "BUYER",
    "RECIPIENT",
    "PROCEEDS",
    "EXPENSE",
    "PROMOTION",
    "CANCELLATION",
    "FULFILLMENT",
    "PACKAGES",
    "TAX",
    "PAYMENT",
    "FULFILLMENT_ORDERS",
];
const HOUR_MS: i64 = 3_600_000;

/// The data sets that a request includes; everything personal is in one of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Included(u16);

impl Included {
    pub(crate) fn read(call: &SellerCall<'_>) -> Result<Self, Refusal> {
        let names = call.parameters.list_of("includedData", DATA_SETS)?;
        let bit = |name: &String| {
            DATA_SETS
                .iter()
                .position(|set| set == name)
                .map_or(0, |n| 1 << n)
        };
        Ok(Self(names.iter().map(bit).fold(0, |all, bit| all | bit)))
    }

    fn when<T>(self, data_set: &str, make: impl FnOnce() -> T) -> Option<T> {
        let bit = DATA_SETS.iter().position(|set| *set == data_set)?;
        (self.0 & (1 << bit) != 0).then(make)
    }
}

/// The status that this version gives a phase.
pub(crate) fn status(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "PENDING",
        Phase::Unshipped => "UNSHIPPED",
        Phase::PartiallyShipped => "PARTIALLY_SHIPPED",
        Phase::Shipped | Phase::Delivered => "SHIPPED",
        Phase::Cancelled => "CANCELLED",
    }
}

impl<'a> Document<'a> {
    /// `found` as it stands at `at`.
    pub(crate) fn new(order: &'a Order, found: &Found, at: UnixMs, included: Included) -> Self {
        let market = order.marketplace;
        Self {
            order_id: &order.id,
            order_aliases: vec![Alias {
                alias_id: &order.id,
                alias_type: "SELLER_ORDER_ID",
            }],
            created_time: iso_ms(found.life.created()),
            last_updated_time: iso_ms(found.stage.since),
            programs: programs(order),
            sales_channel: SalesChannel {
                channel_name: "AMAZON",
                marketplace_id: market.id,
                marketplace_name: market.name,
            },
            buyer: included.when("BUYER", || Buyer::new(order)),
            recipient: included.when("RECIPIENT", || Recipient::new(order)),
            proceeds: included.when("PROCEEDS", || OrderProceeds::new(order)),
            payment: included.when("PAYMENT", || Payment::new(order)),
            fulfillment: included.when("FULFILLMENT", || Fulfillment::new(order, found)),
            order_items: (0..)
                .zip(&order.items)
                .map(|(position, item)| OrderItem::new(position, item, market, found, included))
                .collect(),
            packages: included
                .when("PACKAGES", || packages(order, found, at))
                .filter(|packages| !packages.is_empty()),
        }
    }
}

fn programs(order: &Order) -> Vec<&'static str> {
    let business = order.buyer.company.as_ref().map(|_| "AMAZON_BUSINESS");
    order
        .prime
        .then_some("PRIME")
        .into_iter()
        .chain(business)
        .collect()
}

impl<'a> Buyer<'a> {
    fn new(order: &'a Order) -> Self {
        let company = order.buyer.company.as_ref();
        Self {
            buyer_name: &order.buyer.name,
            buyer_email: &order.buyer.email,
            buyer_company_name: company.map(|(name, _)| name.as_str()),
            buyer_purchase_order_number: company.map(|(_, number)| number.as_str()),
        }
    }
}

impl<'a> Recipient<'a> {
    fn new(order: &'a Order) -> Self {
        let company = order.buyer.company.as_ref();
        let address = &order.address;
        Self {
            delivery_address: DeliveryAddress {
                name: &order.buyer.name,
                company_name: company.map(|(name, _)| name.as_str()),
                address_line1: &address.line_1,
                address_line2: address.line_2.as_deref(),
                city: address.city,
                state_or_region: Some(address.state).filter(|state| !state.is_empty()),
                postal_code: &address.postal_code,
                country_code: order.marketplace.country,
                phone: &address.phone,
                address_type: if company.is_some() {
                    "COMMERCIAL"
                } else {
                    "RESIDENTIAL"
                },
            },
        }
    }
}

impl Money {
    fn new(minor: u64, marketplace: &Marketplace) -> Self {
        Self {
            amount: amount(minor, marketplace),
            currency_code: marketplace.currency,
        }
    }
}

fn breakdowns(marketplace: &Marketplace, sums: [(&'static str, u64); 4]) -> Vec<Breakdown> {
    let shown = |(r#type, minor): &(&'static str, u64)| *minor > 0 || *r#type == "ITEM";
    sums.into_iter()
        .filter(shown)
        .map(|(r#type, minor)| Breakdown {
            r#type,
            subtotal: Money::new(minor, marketplace),
        })
        .collect()
}

impl OrderProceeds {
    fn new(order: &Order) -> Self {
        let sums = [
            ("ITEM", order.sum(Item::price)),
            ("SHIPPING", order.sum(|item| item.shipping)),
            ("TAX", order.sum(|item| item.tax)),
            ("DISCOUNT", order.sum(|item| item.discount)),
        ];
        Self {
            grand_total: Money::new(order.total(), order.marketplace),
            breakdowns: breakdowns(order.marketplace, sums),
        }
    }
}

impl Payment {
    fn new(order: &Order) -> Self {
        Self {
            payment_executions: vec![PaymentExecution {
                payment_method: order.payment_method,
                payment_amount: Money::new(order.total(), order.marketplace),
            }],
        }
    }
}

impl TimeRange {
    fn new(from: UnixMs, hours: i64) -> Self {
        Self {
            earliest_date_time: iso_ms(from),
            latest_date_time: iso_ms(from + hours * HOUR_MS),
        }
    }
}

impl Fulfillment {
    fn new(order: &Order, found: &Found) -> Self {
        let created = found.life.created();
        Self {
            fulfillment_status: status(found.stage.phase),
            fulfilled_by: if order.fulfilled_by_amazon {
                "AMAZON"
            } else {
                "MERCHANT"
            },
            fulfillment_service_level: order.service_level,
            ship_by_window: TimeRange::new(created, 48),
            deliver_by_window: TimeRange::new(created + 48 * HOUR_MS, 120),
        }
    }
}

impl<'a> OrderItem<'a> {
    fn new(
        position: usize,
        item: &'a Item,
        market: &Marketplace,
        found: &Found,
        included: Included,
    ) -> Self {
        let cancelled = found.stage.phase == Phase::Cancelled;
        Self {
            order_item_id: &item.id,
            quantity_ordered: item.quantity,
            product: Product::new(item, market),
            proceeds: included.when("PROCEEDS", || ItemProceeds::new(item, market)),
            promotion: included
                .when("PROMOTION", || Promotion::new(item))
                .flatten(),
            cancellation: included
                .when("CANCELLATION", || {
                    cancelled.then(|| Cancellation::by_buyer(item))
                })
                .flatten(),
            fulfillment: included.when("FULFILLMENT", || {
                ItemFulfillment::new(position, item, found)
            }),
            tax: included.when("TAX", || ItemTax::new(market)).flatten(),
        }
    }
}

impl<'a> Product<'a> {
    fn new(item: &'a Item, market: &Marketplace) -> Self {
        Self {
            asin: &item.asin,
            title: item.title,
            seller_sku: &item.sku,
            condition: Condition {
                condition_type: "NEW",
                condition_subtype: "NEW",
            },
            price: Price {
                unit_price: Money::new(item.unit_price, market),
            },
        }
    }
}

impl ItemProceeds {
    fn new(item: &Item, market: &Marketplace) -> Self {
        let sums = [
            ("ITEM", item.price()),
            ("SHIPPING", item.shipping),
            ("TAX", item.tax),
            ("DISCOUNT", item.discount),
        ];
        Self {
            proceeds_total: Money::new(item.total(), market),
            breakdowns: breakdowns(market, sums),
        }
    }
}

impl<'a> Promotion<'a> {
    fn new(item: &'a Item) -> Option<Self> {
        let promotion_id = item.promotion.as_deref()?;
        let breakdowns = vec![PromotionBreakdown { promotion_id }];
        Some(Self { breakdowns })
    }
}

impl Cancellation {
    /// A free text, in which a buyer may have written anything.
    fn by_buyer(item: &Item) -> Self {
        let cancel_reason = format!("Moving house, do not send it: call me about {}", item.id);
        Self {
            cancellation_request: CancellationRequest {
                requester: "BUYER",
                cancel_reason: cancel_reason.clone(),
            },
            cancellation_execution: CancellationExecution {
                cancelled_by: "MERCHANT",
                cancel_reason,
            },
        }
    }
}

impl ItemFulfillment {
    fn new(position: usize, item: &Item, found: &Found) -> Self {
        let quantity_fulfilled = order::fulfilled(position, item, found.stage.phase);
        Self {
            quantity_fulfilled,
            quantity_unfulfilled: match found.stage.phase {
                Phase::Cancelled => 0,
                _ => item.quantity - quantity_fulfilled,
            },
            packing: item.gift_message.map(|gift_message| Packing {
                gift_option: GiftOption {
                    gift_message,
                    gift_wrap_level: "PREMIUM",
                },
            }),
        }
    }
}

impl ItemTax {
    fn new(market: &Marketplace) -> Option<Self> {
        let collection = TaxCollection {
            model: "MARKETPLACE_FACILITATOR",
            responsible_party: "Amazon Services, Inc.",
        };
        let tax_collections = vec![collection];
        (market.country == "US").then_some(Self { tax_collections })
    }
}

/// The packages of an order that the seller ships itself; Amazon shows no others.
fn packages<'a>(order: &'a Order, found: &Found, at: UnixMs) -> Vec<Package<'a>> {
    let entered = |phase| found.life.entered(phase, at);
    let first = entered(Phase::PartiallyShipped).or_else(|| entered(Phase::Shipped));
    let Some(ship_time) = first.filter(|_| !order.fulfilled_by_amazon) else {
        return Vec::new();
    };
    let delivered = found.stage.phase == Phase::Delivered;
    let package_items = (0..)
        .zip(&order.items)
        .map(|(position, item)| (item, order::fulfilled(position, item, found.stage.phase)))
        .filter(|(_, quantity)| *quantity > 0)
        .map(|(item, quantity)| PackageItem {
            order_item_id: &item.id,
            quantity,
        });
    vec![Package {
        package_reference_id: "1".to_owned(),
        created_time: iso_ms(ship_time),
        package_status: PackageStatus {
            status: if delivered { "DELIVERED" } else { "IN_TRANSIT" },
        },
        carrier: order.carrier,
        ship_time: iso_ms(ship_time),
        shipping_service: "Standard",
        tracking_number: &order.tracking_number,
        package_items: package_items.collect(),
    }]
}
