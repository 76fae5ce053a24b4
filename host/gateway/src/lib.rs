//! One question to a language model, one answer: limited, retried, counted.
