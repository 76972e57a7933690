//! Words that generated data are made of.

pub(crate) const FIRST_NAMES: &[&str] = &[
    "Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Leslie", "Zoë", "José",
    "Søren", "Anaïs", "Nguyễn", "Björn", "Mei", "Yuki", "Ngozi", "Priya", "Omar", "Lucía",
];
pub(crate) const LAST_NAMES: &[&str] = &[
    "Lovelace",
    "Hopper",
    "Turing",
    "Dijkstra",
    "Liskov",
    "Knuth",
    "Perlman",
    "Lamport",
    "Müller",
    "García",
    "O'Brien",
    "Łukasiewicz",
    "Tanaka",
    "Nakamura",
    "Okafor",
    "Fernández",
    "van den Berg",
    "D'Angelo",
];
pub(crate) const COMPANY_FORMS: &[&str] = &["Ltd", "GmbH", "LLC", "S.r.l.", "K.K.", "& Sons"];
pub(crate) const STREETS: &[&str] = &[
    "Main Street",
    "High Street",
    "Rue de la Paix",
    "Lindenstraße",
    "Via Roma",
    "Maple Avenue",
    "Station Road",
    "本町",
    "Calle Mayor",
    "Harbour View",
];
pub(crate) const TITLES: &[&str] = &[
    "Stainless steel water bottle, 750 ml",
    "USB-C charging cable, 2 m, braided",
    "Cotton tea towels, set of 4",
    "Bamboo chopping board with juice groove",
    "Wireless mouse, silent, 2.4 GHz",
    "Children's rain jacket, yellow",
    "LED desk lamp with dimmer",
    "Yoga mat, non-slip, 6 mm",
    "Café-style mug \"Früh & Spät\", 300 ml",
    "Notebook A5, dotted, 192 pages",
    "Bicycle bell, brass",
    "Hand-held milk frother",
    "Replacement filter, pack of 3 <compatible>",
    "Picture frame 30 × 40 cm, oak",
    "Garden gloves, size M",
    "Dog lead, reflective, 1.8 m",
];
pub(crate) const SERVICE_LEVELS: &[&str] = &[
    "STANDARD",
    "STANDARD",
    "STANDARD",
    "EXPEDITED",
    "SECOND_DAY",
    "NEXT_DAY",
    "FREE_ECONOMY",
];
pub(crate) const CARRIERS: &[&str] = &["UPS", "DHL", "FedEx", "Royal Mail", "Yamato Transport"];
pub(crate) const GIFT_MESSAGES: &[&str] = &[
    "Happy birthday!\nSee you on Sunday.",
    "Alles Gute zum Umzug",
    "お誕生日おめでとう",
];
pub(crate) const STORES: &[&str] = &[
    "Harbour Goods",
    "Nordlicht Home",
    "Paper & Thread",
    "Fern Supply",
    "Kettle Works",
];
