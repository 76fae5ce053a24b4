//! Answers as providers send them: whole HTTP responses in files, each a status line, headers, an empty line, and the
//! body exactly as it is. They follow the providers' documentation and what their users reported; the identifiers in
//! them are invented.
use std::borrow::Cow;

macro_rules! recordings {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &[u8])] = &[
            $(($name, include_bytes!(concat!("../../fixtures/wire/", $name, ".http")))),*
        ];
    };
}

recordings![
    "anthropic-no-credit",
    "anthropic-no-permission",
    "anthropic-overloaded",
    "anthropic-overloaded-at-once",
    "anthropic-overloaded-midway",
    "anthropic-rate-limit",
    "anthropic-spend-cap",
    "anthropic-stream",
    "anthropic-thinking-stream",
    "anthropic-too-large",
    "anthropic-too-long",
    "anthropic-unknown-model",
    "anthropic-usage-limit",
    "anthropic-whole",
    "anthropic-wrong-key",
    "kimi-access-terminated",
    "kimi-rate-limit",
    "kimi-spent-plan",
    "kimi-stream",
    "llamacpp-loading",
    "llamacpp-stream",
    "messy-stream",
    "openai-rate-limit",
    "openai-reasoning-stream",
    "openai-spent-quota",
    "openai-stream",
    "openai-too-long",
    "openai-unknown-model",
    "openai-whole",
    "openai-wrong-key",
    "vllm-broken",
    "vllm-stream",
    "vllm-too-long",
];

/// A response as a provider sends it.
#[derive(Debug, Clone, Copy)]
pub struct Recording {
    head: &'static str,
    body: &'static [u8],
}

impl Recording {
    /// The recording of this name.
    pub fn find(name: &str) -> Option<Self> {
        let (_, file) = FILES.iter().find(|(known, _)| *known == name)?;
        let at = file.windows(2).position(|end| end == b"\n\n")?;
        let head = std::str::from_utf8(&file[..at]).ok()?;
        Some(Self { head, body: &file[at + 2..] })
    }

    /// Names of all recordings.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name)
    }

    /// The status.
    pub fn status(&self) -> u16 {
        let word = self.head.split_ascii_whitespace().nth(1);
        word.and_then(|word| word.parse().ok()).expect("a recording begins with a status line")
    }

    /// Names and values.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.head.lines().skip(1).filter_map(|line| line.split_once(": "))
    }

    /// The body, byte by byte.
    pub fn body(&self) -> &'static [u8] {
        self.body
    }

    /// The body as text, for a message.
    pub fn text(&self) -> Cow<'static, str> {
        String::from_utf8_lossy(self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_recording_and_every_recording_a_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/wire");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".http"))
            .collect();
        files.sort();
        let mut names: Vec<String> =
            Recording::names().map(|name| format!("{name}.http")).collect();
        names.sort();
        assert_eq!(files, names);
        for name in Recording::names() {
            let recording = Recording::find(name).unwrap();
            assert!(recording.status() >= 200 && !recording.body().is_empty(), "{name}");
            assert!(recording.headers().any(|(header, _)| header == "content-type"), "{name}");
        }
    }
}
