//! The profiles that are part of the program.

/// Name and text of each file.
pub const SHIPPED: &[(&str, &str)] = &[
    ("foundation_express.yaml", include_str!("../../../profiles/foundation_express.yaml")),
    (
        "foundation_local_market.yaml",
        include_str!("../../../profiles/foundation_local_market.yaml"),
    ),
    ("foundation_stack.yaml", include_str!("../../../profiles/foundation_stack.yaml")),
];
