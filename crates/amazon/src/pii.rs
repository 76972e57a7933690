//! What in an order is a buyer's personal data, and taking it out.

use std::fmt;

use bulkhead_vault::Zeroizing;
use serde_json::{Map, Value};

/// The personal data of one version's orders, as JSON pointers. This is the only list of them.
#[derive(Debug, Clone, Copy)]
pub struct PiiFields {
    /// In the order.
    pub order: &'static [&'static str],
    /// In each entry of a list of the order: where the list is, and what in an entry.
    pub lists: &'static [(&'static str, &'static [&'static str])],
}

/// Orders 2026-01-01; source: orders_2026-01-01.json.
///
/// Whole branches are named where the model may add to them: a new field of `buyer` is taken out too. Besides what the
/// model calls the buyer's: what a buyer may have written, and numbers that lead to a buyer's parcel or device.
pub const ORDERS_2026_01_01: PiiFields = PiiFields {
    order: &["/buyer", "/recipient", "/tax/taxRegistrations"],
    lists: &[
        (
            "/orderItems",
            &[
                "/product/customization",
                "/product/serialNumbers",
                "/cancellation/cancellationRequest/cancelReason",
                "/cancellation/cancellationExecution/cancelReason",
                "/fulfillment/packing/giftOption",
            ],
        ),
        ("/packages", &["/trackingNumber"]),
    ],
};

/// Orders v0; source: ordersV0.json. An item's `BuyerInfo` also holds what gift wrapping costs; it is sealed with the rest.
pub const ORDERS_V0: PiiFields = PiiFields {
    order: &["/BuyerInfo", "/ShippingAddress", "/BuyerTaxInformation"],
    lists: &[(
        "/OrderItems",
        &[
            "/BuyerInfo",
            "/BuyerRequestedCancel/BuyerCancelReason",
            "/SerialNumbers",
        ],
    )],
};

/// What was taken out of an order: a JSON object of pointer → value, in memory that is overwritten when it is dropped.
#[derive(Clone)]
pub struct BuyerPii(Zeroizing<Vec<u8>>);

impl BuyerPii {
    /// The layout of [`BuyerPii::as_bytes`]; part of the context under which it is sealed.
    pub const SCHEMA_VERSION: u16 = 1;

    /// The bytes to seal.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes the fields out of `document`. Afterwards none of them is in it.
    pub(crate) fn take_out(document: &mut Value, fields: PiiFields) -> Option<Self> {
        let mut taken = Map::new();
        take_each(document, fields.order, "", &mut taken);
        for (list, pointers) in fields.lists {
            let entries = document.pointer_mut(list).and_then(Value::as_array_mut);
            for (index, entry) in entries.into_iter().flatten().enumerate() {
                take_each(entry, pointers, &format!("{list}/{index}"), &mut taken);
            }
        }
        if taken.is_empty() {
            return None;
        }
        // A map of JSON values always serializes.
        serde_json::to_vec(&taken)
            .ok()
            .map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Both: the items of a v0 order come with calls of their own.
    pub(crate) fn join(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (one, other) = match (one, other) {
            (Some(one), Some(other)) => (one, other),
            (one, other) => return one.or(other),
        };
        let mut all: Map<String, Value> = serde_json::from_slice(&one.0).unwrap_or_default();
        all.extend(serde_json::from_slice::<Map<String, Value>>(&other.0).unwrap_or_default());
        serde_json::to_vec(&all)
            .ok()
            .map(|bytes| Self(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for BuyerPii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuyerPii([redacted], {} bytes)", self.0.len())
    }
}

fn take_each(document: &mut Value, pointers: &[&str], place: &str, taken: &mut Map<String, Value>) {
    for pointer in pointers {
        let (parent, field) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
        match parent.and_then(|parent| parent.remove(field)) {
            None | Some(Value::Null) => {}
            Some(value) => {
                taken.insert(format!("{place}{pointer}"), value);
            }
        }
    }
}
