//! OpenAI's chat completions, as OpenAI, Kimi, Ollama, llama.cpp, vLLM and others speak them: how a question is
//! written (`wire`), how an answer is read (`answer`), and what a refusal asks to leave out (`change`).
mod answer;
mod change;
mod wire;

pub(crate) use answer::{take_event, take_whole};
pub(crate) use change::change_after;
pub(crate) use wire::body;
