//! What a call used: what its provider counted, and estimates for what it did not count.
use std::sync::Arc;
use std::time::Duration;

use domain::model::{ModelRequest, Usage, UsageSource};
use tokio::time::{Instant, timeout_at};

use crate::tokens;

/// Longest time for counting what a stopped call used. Who stopped it waits for the record.
pub(super) const COUNT_AFTER_STOP_MAX: Duration = Duration::from_millis(50);
/// Longest time for counting what a whole answer used that its provider did not count. Mostly it takes milliseconds; the
/// first time in a process loads the vocabulary, which takes seconds on a busy machine.
pub(super) const COUNT_AFTER_ANSWER_MAX: Duration = Duration::from_secs(10);

/// What came of an answer.
pub(super) struct Came<'a> {
    pub(super) request: &'a Arc<ModelRequest>,
    pub(super) content: &'a str,
    pub(super) reasoning: &'a str,
    /// As the provider told it.
    pub(super) told: Usage,
}

/// What the provider counted; what it did not count is estimated, from the sizes alone if there is no time to count.
pub(super) async fn used(came: Came<'_>, until: Instant) -> Usage {
    let told = came.told;
    if told.input_tokens.is_some() && told.output_tokens.is_some() {
        return told;
    }
    filled_in(told, &counted(&came, until).await)
}

/// The same at once, for reservations.
pub(super) fn used_by_size(came: &Came<'_>) -> Usage {
    let estimate = tokens::estimate_by_size(came.request, came.content, came.reasoning);
    filled_in(came.told, &estimate)
}

fn filled_in(told: Usage, estimate: &Usage) -> Usage {
    if told.input_tokens.is_some() && told.output_tokens.is_some() {
        return told;
    }
    Usage {
        input_tokens: told.input_tokens.or(estimate.input_tokens),
        output_tokens: told.output_tokens.or(estimate.output_tokens),
        cached_tokens: told.cached_tokens,
        cache_write_tokens: told.cache_write_tokens,
        reasoning_tokens: told.reasoning_tokens.or(estimate.reasoning_tokens),
        source: UsageSource::Estimated,
    }
}

/// Counting computes, so it gets a thread of its own.
async fn counted(came: &Came<'_>, until: Instant) -> Usage {
    let by_size = || tokens::estimate_by_size(came.request, came.content, came.reasoning);
    if Instant::now() >= until {
        return by_size();
    }
    let request = Arc::clone(came.request);
    let (content, reasoning) = (came.content.to_owned(), came.reasoning.to_owned());
    let counting = move || tokens::estimate_until(&request, &content, &reasoning, until);
    match timeout_at(until, tokio::task::spawn_blocking(counting)).await {
        Ok(Ok(Some(counted))) => counted,
        // The time is up, or the runtime shuts down.
        Ok(Ok(None) | Err(_)) | Err(_) => by_size(),
    }
}

#[cfg(test)]
mod tests {
    use domain::model::{Message, ModelOptions, Role};

    use super::*;

    fn request() -> Arc<ModelRequest> {
        let message = Message { role: Role::User, content: "b".repeat(4_000) };
        Arc::new(ModelRequest {
            messages: vec![message],
            options: ModelOptions::default(),
            label: None,
        })
    }

    #[tokio::test]
    async fn what_an_answer_used_is_told_in_time_and_marked_as_estimated() {
        let (request, content) = (request(), " bees".repeat(1_000));
        let came =
            || Came { request: &request, content: &content, reasoning: "", told: Usage::default() };
        let late = used(came(), Instant::now()).await;
        assert_eq!((late.output_tokens, late.source), (Some(1_250), UsageSource::Estimated));
        assert_eq!(late.input_tokens, Some(1_007));
        let in_time = Instant::now() + Duration::from_secs(600);
        let counted = used(came(), in_time).await;
        assert_eq!((counted.output_tokens, counted.source), (Some(1_000), UsageSource::Estimated));
        assert_eq!(used_by_size(&came()).output_tokens, Some(1_250));
    }

    #[tokio::test]
    async fn a_count_that_was_told_is_kept_beside_an_estimate() {
        let request = request();
        let told = Usage { input_tokens: Some(7), cached_tokens: Some(3), ..Usage::default() };
        let came = Came { request: &request, content: "four", reasoning: "", told };
        let used = used(came, Instant::now()).await;
        assert_eq!((used.input_tokens, used.output_tokens), (Some(7), Some(1)));
        assert_eq!((used.cached_tokens, used.source), (Some(3), UsageSource::Estimated));
    }
}
