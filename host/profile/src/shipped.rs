//! The profiles that are part of the program.

/// Name and text of each file.
pub const SHIPPED: &[(&str, &str)] = &[
    ("content_calendar.yaml", include_str!("../../../profiles/content_calendar.yaml")),
    ("foundation_express.yaml", include_str!("../../../profiles/foundation_express.yaml")),
    (
        "foundation_local_market.yaml",
        include_str!("../../../profiles/foundation_local_market.yaml"),
    ),
    ("foundation_stack.yaml", include_str!("../../../profiles/foundation_stack.yaml")),
    ("software_delivery.yaml", include_str!("../../../profiles/software_delivery.yaml")),
];
