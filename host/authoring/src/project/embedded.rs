//! What a new project is made of; the build script collects it.
use crate::Language;

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The files of a language's template: path and text.
pub(super) fn template(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::Rust => TEMPLATE_RUST,
        Language::JavaScript => TEMPLATE_JS,
        Language::Python => TEMPLATE_PYTHON,
    }
}
