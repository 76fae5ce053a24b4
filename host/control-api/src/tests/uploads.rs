//! Plugins on their way.
use super::support::Host;
use crate::{Access, ApiState, Code};

#[tokio::test]
async fn no_more_plugins_are_on_their_way_than_have_room() {
    let host = Host::start().await;
    let state = ApiState::new(host.engine.clone(), Access::in_process());
    let mut permits = Vec::new();
    let refusal = loop {
        match state.upload_permit() {
            Ok(permit) => permits.push(permit),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!((permits.len(), refusal.code()), (8, Code::TooManyUploads));
    permits.pop();
    assert!(state.upload_permit().is_ok(), "a place is free again");
}
