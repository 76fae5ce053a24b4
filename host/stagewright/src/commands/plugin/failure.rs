//! How a stage failed, as a test and a replay tell it.
use authoring::Failure;
use control_api::dto::FaultDto;

use super::network;
use crate::output::{Output, clean};
use crate::render;

pub(super) fn show_failure(output: &Output, failure: &Failure) {
    let fault = FaultDto {
        error_code: failure.error_code.clone(),
        error_message: failure.error_message.clone(),
        retryable: failure.retryable,
        plugin_code: failure.plugin_code.clone(),
    };
    let told = format!("the stage failed: {}", render::fault(&fault));
    output.line(&render::indented(&told, "  "));
    if !failure.log.is_empty() && !sandbox::tells_log(&failure.error_message) {
        output.line("  last lines of its log:");
        failure.log.iter().for_each(|line| output.line(&format!("    {}", clean(line))));
    }
    if sandbox::wanted_network(&failure.error_message) {
        output.line(&format!("  {}", network::HOW_TO_TEST));
    }
}
