//! Writing a question to a model.
use serde_json::Value;

use crate::{JsonSchema, Message, ModelOptions, ModelRequest, ResponseFormat, Role};

impl Message {
    /// A standing instruction.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: Role::System, content: content.into() }
    }

    /// What is asked.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }
}

impl ModelOptions {
    /// Everything left to the profile, then to the provider. That is the right choice for most stages: reasoning models
    /// spend `max_tokens` on thoughts, and several refuse a temperature.
    pub fn unset() -> Self {
        Self {
            max_tokens: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            seed: None,
            response_format: ResponseFormat::Text,
        }
    }
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self::unset()
    }
}

impl ModelRequest {
    /// A standing instruction and a question.
    pub fn new(system: impl Into<String>, user: impl Into<String>) -> Self {
        Self {
            messages: vec![Message::system(system), Message::user(user)],
            options: ModelOptions::unset(),
            label: None,
        }
    }

    /// Names the call in the records. At most 64 bytes.
    #[must_use]
    pub fn labeled(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Asks for JSON that follows a schema.
    #[must_use]
    pub fn answered_in(mut self, schema_name: impl Into<String>, schema: &Value) -> Self {
        self.options.response_format = ResponseFormat::JsonSchema(JsonSchema {
            name: schema_name.into(),
            schema: schema.to_string(),
        });
        self
    }
}
