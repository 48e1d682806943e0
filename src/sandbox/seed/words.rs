//! Words for the sample world, with the letters and marks that break careless code.

/// First halves of company names.
pub(super) const COMPANIES: [&str; 32] = [
    "Müller & Söhne",
    "Ålesund Fisk",
    "O'Brien Brothers",
    "Żubr Logistics",
    "Café Liégeois",
    "Northwind",
    "Ørsted Marine",
    "\"Quoted\" Goods",
    "Smith, Jones and Partners",
    "Señor Frío",
    "İstanbul Tekstil",
    "東京電機",
    "Доставка Плюс",
    "Ελληνικά Έργα",
    "Alpine Dairy",
    "Blue Harbour",
    "Crème Brûlée Works",
    "Dr. Oetzi",
    "E=mc² Labs",
    "Fjord & Fell",
    "Groß Gerätebau",
    "Hafen-Kontor",
    "Iberia Solar",
    "Jäger Optik",
    "K9 Security",
    "Lindqvist",
    "Maple Ridge",
    "Nova Scotia Timber",
    "مركز النور",
    "Pão de Açúcar",
    "Quartz Mining",
    "Rhein-Neckar Druck",
];

/// Second halves of company names.
pub(super) const FORMS: [&str; 10] =
    ["GmbH", "Ltd", "Inc.", "AS", "S.A.", "AG", "Sp. z o.o.", "LLC", "B.V.", "& Co. KG"];

/// Products that subscriptions are for.
pub(super) const PRODUCTS: [&str; 16] = [
    "Growth plan",
    "🚀 Launch pack",
    "Premium \"Gold\" support",
    "Team plan (EU)",
    "Wartung & Pflege",
    "API access – 24/7",
    "Starter",
    "Enterprise; all modules",
    "100 % Uptime",
    "Café menu",
    "{{ braces }}",
    "<b>Bold</b> plan",
    "=SUM(A1)",
    "Naïve plan",
    "👩‍🔧 Field service",
    "Back`tick",
];

/// What a work order is about.
pub(super) const SUBJECTS: [&str; 12] = [
    "Replace pump",
    "Yearly inspection",
    "Wärmetauscher reinigen",
    "Customer says: \"it leaks\"",
    "Install gateway",
    "Réparer la vanne",
    "Swap filters, check seals",
    "Überprüfung nach Störung",
    "Meter reading",
    "🔧 Emergency call-out",
    "Kalibrierung",
    "Move rack #7",
];

/// Pieces of notes, with line breaks of both kinds.
pub(super) const NOTES: [&str; 8] = [
    "Renewal was agreed by phone.",
    "Line one\nLine two\n\nLine four",
    "Windows\r\nline breaks\r\n",
    "Price: 1.234,56 € – \"special\"",
    "עברית ועוד",
    "e\u{301}lan with a combining accent",
    "<script>alert('x')</script>",
    "C:\\temp\\new; tab\there",
];

/// Cities with country and postal code.
pub(super) const CITIES: [(&str, &str, &str, f64, f64); 8] = [
    ("Berlin", "Germany", "10115", 52.532_012, 13.384_905),
    ("Zürich", "Switzerland", "8001", 47.372_313, 8.542_276),
    ("Kraków", "Poland", "31-001", 50.061_947, 19.936_856),
    ("São Paulo", "Brazil", "01001-000", -23.550_52, -46.633_308),
    ("Reykjavík", "Iceland", "101", 64.146_582, -21.942_63),
    ("Boston", "United States", "02108", 42.357_603, -71.068_432),
    ("東京", "Japan", "100-0001", 35.685_175, 139.752_8),
    ("Cork", "Ireland", "T12 W8KP", 51.897_928, -8.470_581),
];

/// Streets.
pub(super) const STREETS: [&str; 6] = [
    "Invalidenstr. 1",
    "Bahnhofstrasse 7\nHinterhaus",
    "ul. Świętej Anny 3",
    "Av. Paulista, 1000",
    "12 O'Connell St",
    "Unit 4; Dock B",
];

/// First names.
pub(super) const FIRST_NAMES: [&str; 8] = ["Zoë", "Jürgen", "Siobhán", "Łukasz", "Mary-Ann", "Nguyễn", "Ada", "D'Arcy"];

/// Last names.
pub(super) const LAST_NAMES: [&str; 8] =
    ["Müller", "O'Neill", "Kowalski", "de la Cruz", "Sørensen", "Lovelace", "Smith-Jones", "Çelik"];

/// Currencies as text.
pub(super) const CURRENCIES: [&str; 5] = ["EUR", "USD", "CHF", "PLN", "JPY"];
