//! The stream of a run's events.
use std::num::NonZeroUsize;

use axum::body::{Body, BodyDataStream};
use control_api::dto::{EventDto, LiveDto};
use futures_util::StreamExt;
use sse_core::{SseDecoder, SseEvent, SseStream};

/// Longest event, in bytes: a stage's result with the largest variables that a stage may set fits in.
const EVENT_BYTES_MAX: NonZeroUsize = NonZeroUsize::new(16 << 20).expect("16 MiB is not zero");

/// Something that the stream told.
#[derive(Debug)]
pub(crate) enum Moment {
    /// An event of the log.
    Event(Box<EventDto>),
    /// Something that happens right now.
    Live(LiveDto),
    /// The run has ended, and its log was read to the end.
    End,
    /// The stream broke off, or the host is shutting down.
    Closed,
}

/// The stream of a run's events.
pub(crate) struct Events {
    stream: SseStream<BodyDataStream>,
}

impl Events {
    pub(super) fn new(body: Body) -> Events {
        let mut stream = SseStream::with_decoder(SseDecoder::with_limit(EVENT_BYTES_MAX));
        stream.attach(body.into_data_stream());
        Events { stream }
    }

    /// Waits for what comes next. What this version does not know is skipped.
    pub(crate) async fn next(&mut self) -> Moment {
        loop {
            let message = match self.stream.next().await {
                Some(Ok(SseEvent::Message(message))) => message,
                Some(Ok(SseEvent::Retry(_))) => continue,
                Some(Err(_)) | None => return Moment::Closed,
            };
            if message.event == "end" {
                return Moment::End;
            }
            if let Ok(event) = serde_json::from_str::<EventDto>(&message.data) {
                return Moment::Event(Box::new(event));
            }
            if let Ok(live) = serde_json::from_str::<LiveDto>(&message.data) {
                return Moment::Live(live);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_known_is_skipped_and_the_end_is_told() {
        let body = "\u{feff}: hello\r\n\r\nevent: later\ndata: {\"kind\":\"later\"}\n\n\
                    event: model_text\ndata: {\"kind\":\"model_text\",\"stage\":\"s\",\"attempt\":1,\
                    \"ordinal\":1,\"text\":\"hi\"}\n\n\
                    id: 3\nevent: run_completed\ndata: {\"version\":3,\"at\":\"2026-01-01T00:00:00Z\",\
                    \"line\":\"done\",\"kind\":\"run_completed\",\"data\":{}}\n\n\
                    event: end\ndata: {}\n\n";
        let mut events = Events::new(Body::from(body));
        assert!(matches!(events.next().await, Moment::Live(LiveDto::ModelText { .. })));
        assert!(matches!(events.next().await, Moment::Event(event) if event.version == 3));
        assert!(matches!(events.next().await, Moment::End));
        assert!(matches!(events.next().await, Moment::Closed));
    }
}
