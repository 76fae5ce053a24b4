//! What makes two questions the same: the provider, the model, and everything that is sent to them. The label of a
//! request, its idempotency key and its times are not sent for an answer, and make no difference.
use domain::model::{Message, ModelOptions, ModelRequest, ResponseFormat};
use sha2::{Digest as _, Sha256};

use crate::question::Route;

/// Part of every key, so that a key of another form of this code can never be taken for one of this.
const FORM: &[u8] = b"stagewright answer 1";

/// SHA-256 of a question.
pub(crate) type Key = [u8; 32];

/// The part of a key that costs time: the hash of a request, for any route.
#[derive(Clone)]
pub(crate) struct Asked(Sha256);

impl Asked {
    pub(crate) fn new(request: &ModelRequest) -> Self {
        let mut hash = Sha256::new();
        hash.update(FORM);
        // Taken apart by name: a field that is added later has to be thought of here.
        let ModelRequest { messages, options, label: _ } = request;
        let ModelOptions { max_tokens, temperature, top_p, stop, seed, response_format } = options;
        count(&mut hash, messages.len());
        for Message { role, content } in messages {
            text(&mut hash, role.as_str());
            text(&mut hash, content);
        }
        number(&mut hash, max_tokens.map(u64::from));
        number(&mut hash, temperature.map(|value| u64::from(value.to_bits())));
        number(&mut hash, top_p.map(|value| u64::from(value.to_bits())));
        number(&mut hash, *seed);
        count(&mut hash, stop.len());
        stop.iter().for_each(|stop| text(&mut hash, stop));
        match response_format {
            ResponseFormat::Text => hash.update([0]),
            ResponseFormat::Json => hash.update([1]),
            ResponseFormat::JsonSchema { name, schema } => {
                hash.update([2]);
                text(&mut hash, name);
                text(&mut hash, schema);
            }
        }
        Self(hash)
    }

    /// The key of the question for one route: what an answer is kept under.
    pub(crate) fn key(&self, route: &Route) -> Key {
        self.key_of_all(std::iter::once(route))
    }

    /// The key of the question for these routes in this order: what makes two calls the same call.
    pub(crate) fn key_of_all<'a>(&self, routes: impl Iterator<Item = &'a Route>) -> Key {
        let mut hash = self.0.clone();
        for Route { provider, model } in routes {
            text(&mut hash, provider);
            text(&mut hash, model);
        }
        hash.finalize().into()
    }
}

/// With its length before it, so that no two lists of texts give the same bytes.
fn text(hash: &mut Sha256, text: &str) {
    count(hash, text.len());
    hash.update(text);
}

fn count(hash: &mut Sha256, count: usize) {
    hash.update((count as u64).to_le_bytes());
}

fn number(hash: &mut Sha256, value: Option<u64>) {
    hash.update([u8::from(value.is_some())]);
    hash.update(value.unwrap_or(0).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use domain::model::Role;

    use super::*;

    fn request(contents: &[&str]) -> ModelRequest {
        let message = |content: &&str| Message { role: Role::User, content: (*content).to_owned() };
        ModelRequest {
            messages: contents.iter().map(message).collect(),
            options: ModelOptions::default(),
            label: None,
        }
    }

    fn route(provider: &str, model: &str) -> Route {
        Route { provider: provider.to_owned(), model: model.to_owned() }
    }

    fn key(request: &ModelRequest) -> Key {
        Asked::new(request).key(&route("mine", "m"))
    }

    #[test]
    fn the_label_makes_no_difference() {
        let labeled = ModelRequest { label: Some("outline".to_owned()), ..request(&["bees"]) };
        assert_eq!(key(&labeled), key(&request(&["bees"])));
    }

    #[test]
    fn everything_that_is_sent_makes_a_difference() {
        let with = |change: fn(&mut ModelRequest)| {
            let mut request = request(&["bees"]);
            change(&mut request);
            key(&request)
        };
        let keys = [
            key(&request(&["bees"])),
            key(&request(&["be", "es"])),
            key(&request(&["bees", ""])),
            with(|request| request.messages[0].role = Role::System),
            with(|request| request.options.max_tokens = Some(0)),
            with(|request| request.options.temperature = Some(0.0)),
            with(|request| request.options.top_p = Some(1.0)),
            with(|request| request.options.seed = Some(0)),
            with(|request| request.options.stop = vec!["x".to_owned()]),
            with(|request| request.options.stop = vec![String::new()]),
            with(|request| request.options.response_format = ResponseFormat::Json),
            with(|request| {
                request.options.response_format =
                    ResponseFormat::JsonSchema { name: "a".to_owned(), schema: "{}".to_owned() };
            }),
            Asked::new(&request(&["bees"])).key(&route("mine", "n")),
            Asked::new(&request(&["bees"])).key(&route("min", "em")),
        ];
        let distinct: std::collections::HashSet<Key> = keys.into_iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn the_order_of_the_routes_is_a_part_of_the_call() {
        let asked = Asked::new(&request(&["bees"]));
        let (one, two) = (route("one", "m"), route("two", "m"));
        assert_ne!(
            asked.key_of_all([&one, &two].into_iter()),
            asked.key_of_all([&two, &one].into_iter())
        );
        assert_eq!(asked.key_of_all(std::iter::once(&one)), asked.key(&one));
    }
}
