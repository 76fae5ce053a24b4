//! What is asked, and what an answer has to be.
use serde::Deserialize;
use serde_json::{Value, json};
use stage_sdk::{ModelRequest, StageContext, StageError, StageOutput};

const COUNT_DEFAULT: usize = 5;

/// Longest tagline, in characters. A longer one does not fit on a poster.
const TAGLINE_CHARACTERS_MAX: usize = 80;

#[derive(Deserialize)]
struct Settings {
    #[serde(default = "count_default")]
    count: usize,
}

fn count_default() -> usize {
    COUNT_DEFAULT
}

pub(crate) fn settings_schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "count": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10,
                "default": COUNT_DEFAULT,
                "description": "How many taglines to write.",
            },
        },
    })
}

pub(crate) fn count_of(context: &StageContext) -> Result<usize, StageError> {
    context.settings_as().map(|settings: Settings| settings.count)
}

/// The first question.
pub(crate) fn question(context: &StageContext) -> Result<ModelRequest, StageError> {
    if context.request_text.trim().is_empty() {
        let message = "the request has no text: say what the taglines are for";
        return Err(StageError::bad_input("request_empty", message));
    }
    let count = count_of(context)?;
    let mut user = format!("Write {count} taglines for:\n\n{}", context.request_text);
    if let Some(revision) = &context.revision {
        user.push_str("\n\nA reviewer said about the last ones:\n\n");
        user.push_str(&revision.feedback);
    }
    let system =
        "You write taglines: short, concrete, each different from the others. Answer in JSON.";
    Ok(ModelRequest::new(system, user)
        .answered_in("taglines", &answer_schema(count))
        .labeled("taglines"))
}

fn answer_schema(count: usize) -> Value {
    json!({
        "type": "object",
        "required": ["taglines"],
        "additionalProperties": false,
        "properties": {
            "taglines": {
                "type": "array",
                "minItems": count,
                "maxItems": count,
                "items": { "type": "string", "minLength": 1, "maxLength": TAGLINE_CHARACTERS_MAX },
            },
        },
    })
}

/// The taglines in an answer.
pub(crate) fn read(answer: &str, count: usize) -> Result<Vec<String>, StageError> {
    let answered: Value = serde_json::from_str(answer).map_err(|_| unusable("it is not JSON"))?;
    let said = answered.get("taglines").and_then(Value::as_array);
    let said = said.ok_or_else(|| unusable("it has no list `taglines`"))?;
    if said.len() != count {
        return Err(unusable(&format!("it has {} taglines instead of {count}", said.len())));
    }
    let taglines: Vec<String> = said
        .iter()
        .zip(1..)
        .map(|(said, number)| checked(said, number))
        .collect::<Result<_, _>>()?;
    for (index, tagline) in taglines.iter().enumerate() {
        if let Some(first) = taglines[..index].iter().position(|earlier| earlier == tagline) {
            let reason = format!("tagline {} repeats tagline {}", index + 1, first + 1);
            return Err(unusable(&reason));
        }
    }
    Ok(taglines)
}

fn checked(said: &Value, number: usize) -> Result<String, StageError> {
    let said = said.as_str().ok_or_else(|| unusable(&format!("tagline {number} is no text")))?;
    // Only spaces go: what else counts as white space differs between languages.
    let tagline = said.trim_matches(' ');
    if tagline.is_empty() {
        return Err(unusable(&format!("tagline {number} is empty")));
    }
    if tagline.bytes().any(|byte| byte < b' ') {
        return Err(unusable(&format!("tagline {number} has more than one line")));
    }
    let length = tagline.chars().count();
    if length > TAGLINE_CHARACTERS_MAX {
        return Err(unusable(&format!(
            "tagline {number} has {length} characters, with {TAGLINE_CHARACTERS_MAX} allowed"
        )));
    }
    Ok(tagline.to_owned())
}

fn unusable(reason: &str) -> StageError {
    StageError::invalid_output("taglines_unusable", reason)
}

/// What the stage leaves behind.
pub(crate) fn output(taglines: &[String]) -> StageOutput {
    let lines: String =
        taglines.iter().zip(1..).map(|(line, number)| format!("{number}. {line}\n")).collect();
    StageOutput::new(format!("{} taglines, the first: {}", taglines.len(), taglines[0]))
        .with_markdown("taglines.md", format!("# Taglines\n\n{lines}"))
        .with_data(&json!({ "taglines": taglines }))
        .with_variable("tagline", &taglines[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(answer: &str, reason: &str) {
        assert_eq!(read(answer, 2).unwrap_err(), unusable(reason));
    }

    #[test]
    fn the_first_question_asks_for_as_many_taglines_as_the_settings_say() {
        let context = StageContext::new("bees").with_settings(&json!({ "count": 2 }));
        let question = question(&context).unwrap();
        assert_eq!(question.messages[1].content, "Write 2 taglines for:\n\nbees");
    }

    #[test]
    fn a_request_without_text_is_refused() {
        let error = question(&StageContext::new(" ")).unwrap_err();
        assert_eq!(error.failure().unwrap().code, "request_empty");
    }

    #[test]
    fn an_answer_that_cannot_be_used_says_why() {
        refused("Here they are: ...", "it is not JSON");
        refused("[]", "it has no list `taglines`");
        refused(r#"{"taglines":["One."]}"#, "it has 1 taglines instead of 2");
        refused(r#"{"taglines":["One.",2]}"#, "tagline 2 is no text");
        refused(r#"{"taglines":["One.","  "]}"#, "tagline 2 is empty");
        refused(r#"{"taglines":["One.","Two\nlines."]}"#, "tagline 2 has more than one line");
        refused(r#"{"taglines":["One."," One."]}"#, "tagline 2 repeats tagline 1");
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        let long = "🐝".repeat(TAGLINE_CHARACTERS_MAX);
        let answer = json!({ "taglines": [long, "b"] }).to_string();
        assert_eq!(read(&answer, 2).unwrap(), [long, "b".to_owned()]);
    }
}
