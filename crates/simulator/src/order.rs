//! The facts of an order, from which each API version and report makes its own document.

use crate::{
    catalog,
    dice::{CAPITALS, Dice},
    life::Phase,
    marketplace::Marketplace,
};

/// What stays the same through an order's life.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) marketplace: &'static Marketplace,
    /// By Amazon's warehouses; otherwise by the seller.
    pub(crate) fulfilled_by_amazon: bool,
    pub(crate) prime: bool,
    pub(crate) service_level: &'static str,
    pub(crate) buyer: Buyer,
    pub(crate) address: Address,
    pub(crate) items: Vec<Item>,
    pub(crate) carrier: &'static str,
    pub(crate) tracking_number: String,
    pub(crate) payment_method: &'static str,
}

/// Who bought; personal data.
#[derive(Debug)]
pub(crate) struct Buyer {
    pub(crate) name: String,
    pub(crate) email: String,
    /// Company and its purchase order number, of business buyers.
    pub(crate) company: Option<(String, String)>,
}

/// Where it goes; personal data.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) line_1: String,
    pub(crate) line_2: Option<String>,
    pub(crate) city: &'static str,
    pub(crate) state: &'static str,
    pub(crate) postal_code: String,
    pub(crate) phone: String,
}

/// One line of an order. Amounts are for the whole quantity, in the currency's smallest unit.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) asin: String,
    pub(crate) sku: String,
    pub(crate) title: &'static str,
    pub(crate) quantity: u32,
    pub(crate) unit_price: u64,
    pub(crate) shipping: u64,
    pub(crate) tax: u64,
    pub(crate) discount: u64,
    pub(crate) promotion: Option<String>,
    pub(crate) gift_message: Option<&'static str>,
}

impl Item {
    pub(crate) fn price(&self) -> u64 {
        self.unit_price * u64::from(self.quantity)
    }

    pub(crate) fn total(&self) -> u64 {
        self.price() + self.shipping + self.tax - self.discount
    }
}

impl Order {
    /// The facts that `dice` give; the identifiers have dice of their own (see [`Identity`]).
    pub(crate) fn draw(
        dice: &mut Dice,
        identity: Identity,
        marketplace: &'static Marketplace,
    ) -> Self {
        let fulfilled_by_amazon = Self::is_fulfilled_by_amazon(dice);
        let Identity { order_id, item_ids } = identity;
        Self {
            id: order_id,
            marketplace,
            fulfilled_by_amazon,
            prime: fulfilled_by_amazon || dice.percent(15),
            service_level: dice.pick(catalog::SERVICE_LEVELS),
            buyer: Buyer::draw(dice),
            address: Address::draw(dice, marketplace),
            items: item_ids
                .into_iter()
                .map(|id| Item::draw(dice, id, marketplace))
                .collect(),
            carrier: dice.pick(catalog::CARRIERS),
            tracking_number: format!("1Z{}", dice.text(CAPITALS, 16)),
            payment_method: dice.pick(&["CreditCard", "CreditCard", "Invoice", "GiftCard"]),
        }
    }

    /// The first thing that an order's dice decide.
    pub(crate) fn is_fulfilled_by_amazon(dice: &mut Dice) -> bool {
        dice.percent(55)
    }

    pub(crate) fn total(&self) -> u64 {
        self.items.iter().map(Item::total).sum()
    }

    pub(crate) fn sum(&self, of: impl Fn(&Item) -> u64) -> u64 {
        self.items.iter().map(of).sum()
    }
}

impl Buyer {
    fn draw(dice: &mut Dice) -> Self {
        let name = format!(
            "{} {}",
            dice.pick(catalog::FIRST_NAMES),
            dice.pick(catalog::LAST_NAMES)
        );
        let email = format!(
            "{}@marketplace.amazon.example",
            dice.text(b"abcdefghijklmnopqrstuvwxyz0123456789", 14)
        );
        let company = dice.percent(8).then(|| {
            let company = format!(
                "{} {}",
                dice.pick(catalog::LAST_NAMES),
                dice.pick(catalog::COMPANY_FORMS)
            );
            (company, format!("PO-{}", 10_000 + dice.below(90_000)))
        });
        Self {
            name,
            email,
            company,
        }
    }
}

impl Address {
    fn draw(dice: &mut Dice, marketplace: &Marketplace) -> Self {
        let (city, state, postal_prefix) = dice.pick(marketplace.places);
        Self {
            line_1: format!("{} {}", 1 + dice.below(240), dice.pick(catalog::STREETS)),
            line_2: dice
                .percent(20)
                .then(|| format!("Apt {}", 1 + dice.below(60))),
            city,
            state,
            postal_code: format!("{postal_prefix}{:02}", dice.below(100)),
            phone: format!("+{} 555 {:07}", 1 + dice.below(90), dice.below(10_000_000)),
        }
    }
}

impl Item {
    fn draw(dice: &mut Dice, id: String, marketplace: &Marketplace) -> Self {
        let product = dice.below(catalog::TITLES.len() as u64 * 40);
        let title = catalog::TITLES[product as usize % catalog::TITLES.len()];
        let mut of_product = Dice::for_thing(&[product, 0xA51A]);
        let quantity = if dice.percent(80) {
            1
        } else {
            2 + dice.below(4) as u32
        };
        let unit_price = 499 + of_product.below(19_500);
        let price = unit_price * u64::from(quantity);
        let promoted = dice.percent(12);
        Self {
            id,
            asin: format!("B0{}", of_product.text(CAPITALS, 8)),
            sku: format!("SKU-{product:05}-{}", of_product.text(CAPITALS, 4)),
            title,
            quantity,
            unit_price,
            shipping: if dice.percent(30) { 399 } else { 0 },
            tax: price * if marketplace.region == "na" { 8 } else { 19 } / 100,
            discount: if promoted { price / 10 } else { 0 },
            promotion: promoted.then(|| format!("PAWS-V2-{:011}", dice.below(100_000_000_000))),
            gift_message: dice.percent(4).then(|| dice.pick(catalog::GIFT_MESSAGES)),
        }
    }
}

/// The identifiers of an order and its items; cheap to draw without the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) order_id: String,
    pub(crate) item_ids: Vec<String>,
}

impl Identity {
    /// Unique by construction: `seller` and the order's `index` are written into the ids.
    pub(crate) fn draw(dice: &mut Dice, seller: u32, index: u32) -> Self {
        let count = match dice.below(100) {
            0..70 => 1,
            70..90 => 2,
            _ => 3 + dice.below(3),
        };
        let item_ids = (0..count)
            .map(|item| format!("{:05}{index:08}{item}", 10_000 + seller))
            .collect();
        let order_id = format!("{}-{seller:07}-{index:07}", 100 + dice.below(600));
        Self { order_id, item_ids }
    }
}

/// How much of an item has been shipped in `phase`; the first item of a split order goes first.
pub(crate) fn fulfilled(position: usize, item: &Item, phase: Phase) -> u32 {
    match phase {
        Phase::Shipped | Phase::Delivered => item.quantity,
        Phase::PartiallyShipped if position == 0 => item.quantity,
        _ => 0,
    }
}

/// An amount in the currency's smallest unit as Amazon writes it: `"12.30"`, or `"1230"` yen.
pub(crate) fn amount(minor: u64, marketplace: &Marketplace) -> String {
    match marketplace.decimals {
        0 => minor.to_string(),
        decimals => {
            let unit = 10_u64.pow(decimals);
            format!(
                "{}.{:0width$}",
                minor / unit,
                minor % unit,
                width = decimals as usize
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marketplace::MARKETPLACES;

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        let of = |currency| {
            MARKETPLACES
                .iter()
                .find(|m| m.currency == currency)
                .unwrap()
        };
        assert_eq!(amount(1_205, of("USD")), "12.05");
        assert_eq!(amount(1_205, of("JPY")), "1205");
    }
}
