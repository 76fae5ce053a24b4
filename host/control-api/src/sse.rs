//! What all event streams have in common.
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive};
use serde::Serialize;

/// How often a silent stream sends a comment: proxies and browsers give up on connections that are silent for 30 to 60
/// seconds, and the comment is how the server learns that a client is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(crate) fn heartbeat() -> KeepAlive {
    KeepAlive::new().interval(HEARTBEAT).text("heartbeat")
}

/// An event whose data is one line of JSON.
pub(crate) fn json_event(name: &str, record: &impl Serialize) -> Event {
    let json = serde_json::to_string(record).expect("a record has only text keys");
    Event::default().event(name).data(json)
}
