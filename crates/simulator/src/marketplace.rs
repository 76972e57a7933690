//! Amazon's marketplaces, as far as sellers of the simulator trade in them.

/// One marketplace with the facts that documents repeat.
#[derive(Debug)]
pub(crate) struct Marketplace {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) region: &'static str,
    pub(crate) country: &'static str,
    pub(crate) currency: &'static str,
    /// Digits after the decimal point: 0 for the yen.
    pub(crate) decimals: u32,
    pub(crate) language: &'static str,
    pub(crate) domain: &'static str,
    /// City, state or region (empty where addresses have none), first characters of the postal code.
    pub(crate) places: &'static [(&'static str, &'static str, &'static str)],
}

const US: &[(&str, &str, &str)] = &[
    ("Seattle", "WA", "981"),
    ("Portland", "OR", "972"),
    ("Austin", "TX", "787"),
    ("Columbus", "OH", "432"),
];
const CA: &[(&str, &str, &str)] = &[("Toronto", "ON", "M5V "), ("Vancouver", "BC", "V6B ")];
const MX: &[(&str, &str, &str)] = &[("Guadalajara", "Jalisco", "441")];
const UK: &[(&str, &str, &str)] = &[("Leeds", "West Yorkshire", "LS1 "), ("Bristol", "", "BS1 ")];
const DE: &[(&str, &str, &str)] = &[
    ("Leipzig", "", "041"),
    ("Köln", "", "506"),
    ("Münster", "", "481"),
];
const FR: &[(&str, &str, &str)] = &[("Lyon", "", "690"), ("Nîmes", "", "300")];
const IT: &[(&str, &str, &str)] = &[("Torino", "TO", "101"), ("Forlì", "FC", "471")];
const JP: &[(&str, &str, &str)] = &[("横浜市", "神奈川県", "220"), ("札幌市", "北海道", "060")];
const AU: &[(&str, &str, &str)] = &[("Melbourne", "VIC", "30"), ("Brisbane", "QLD", "40")];

/// The marketplaces that are simulated.
#[rustfmt::skip]
pub(crate) static MARKETPLACES: &[Marketplace] = &[
    marketplace("ATVPDKIKX0DER", "Amazon.com", "na", "US", "USD", 2, "en_US", "www.amazon.com", US),
    marketplace("A2EUQ1WTGCTBG2", "Amazon.ca", "na", "CA", "CAD", 2, "en_CA", "www.amazon.ca", CA),
    marketplace("A1AM78C64UM0Y8", "Amazon.com.mx", "na", "MX", "MXN", 2, "es_MX", "www.amazon.com.mx", MX),
    marketplace("A1PA6795UKMFR9", "Amazon.de", "eu", "DE", "EUR", 2, "de_DE", "www.amazon.de", DE),
    marketplace("A1F83G8C2ARO7P", "Amazon.co.uk", "eu", "GB", "GBP", 2, "en_GB", "www.amazon.co.uk", UK),
    marketplace("A13V1IB3VIYZZH", "Amazon.fr", "eu", "FR", "EUR", 2, "fr_FR", "www.amazon.fr", FR),
    marketplace("APJ6JRA9NG5V4", "Amazon.it", "eu", "IT", "EUR", 2, "it_IT", "www.amazon.it", IT),
    marketplace("A1VC38T7YXB528", "Amazon.co.jp", "fe", "JP", "JPY", 0, "ja_JP", "www.amazon.co.jp", JP),
    marketplace("A39IBJ37TRP1C6", "Amazon.com.au", "fe", "AU", "AUD", 2, "en_AU", "www.amazon.com.au", AU),
];

/// The marketplaces of one region, the biggest first.
pub(crate) fn of_region(region: &str) -> Vec<&'static Marketplace> {
    MARKETPLACES.iter().filter(|m| m.region == region).collect()
}

#[allow(
    clippy::too_many_arguments,
    reason = "keeps the table above to one line each"
)]
const fn marketplace(
    id: &'static str,
    name: &'static str,
    region: &'static str,
    country: &'static str,
    currency: &'static str,
    decimals: u32,
    language: &'static str,
    domain: &'static str,
    places: &'static [(&'static str, &'static str, &'static str)],
) -> Marketplace {
    Marketplace {
        id,
        name,
        region,
        country,
        currency,
        decimals,
        language,
        domain,
        places,
    }
}
