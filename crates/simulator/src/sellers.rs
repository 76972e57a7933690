//! Sellers v1: where a seller may sell.

use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal},
    call::SellerCall,
    marketplace::Marketplace,
};

/// `GET /sellers/v1/marketplaceParticipations`
pub(crate) fn marketplace_participations(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let store = call.seller.store_name();
    let marketplaces = call.seller.marketplaces.iter();
    let payload: Vec<_> = marketplaces
        .map(|marketplace| participation(marketplace, store))
        .collect();
    Ok(Answer::ok(&json!({"payload": payload})))
}

fn participation(marketplace: &Marketplace, store: &str) -> Value {
    json!({
        "marketplace": {
            "id": marketplace.id,
            "name": marketplace.name,
            "countryCode": marketplace.country,
            "defaultCurrencyCode": marketplace.currency,
            "defaultLanguageCode": marketplace.language,
            "domainName": marketplace.domain,
        },
        "participation": {"isParticipating": true, "hasSuspendedListings": false},
        "storeName": store,
    })
}
