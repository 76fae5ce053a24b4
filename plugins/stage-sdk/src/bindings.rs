//! What `wit-bindgen` makes of the contract. The types are re-exported at the crate's root; nobody needs to look here,
//! except [`export_stage!`](crate::export_stage), which expands to the macro that is generated here.
#![allow(
    missing_docs,
    reason = "the docs stand in wit/stage.wit, and not every field there needs one"
)]
#![allow(unreachable_pub, reason = "the generator writes `pub` everywhere")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "stage-plugin",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "stage_sdk::bindings",
    additional_derives: [PartialEq],
});
