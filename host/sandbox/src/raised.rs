//! What the runtime of another language says on standard error before it gives up: the exception, and where it was raised.
//!
//! To WebAssembly such an end is a trap deep inside an interpreter, and its frames are those of the interpreter. The
//! author wrote Python or JavaScript, so the report has the words and the frames of that language instead. Nothing here
//! trusts the guest: whoever writes such words gets them back in the report, cleaned and bounded like all others.

/// How the Rust part of `componentize-py` ends after an exception that nobody caught.
const PYTHON_GAVE_UP: &str = "Python function threw an unexpected exception";

const PYTHON_TRACEBACK: &str = "Traceback (most recent call last):";

/// Where `componentize-py` puts the folder of the sources.
const PYTHON_ROOT: &str = "/0/";

/// How the engine inside of `componentize-js` ends.
const JAVASCRIPT_GAVE_UP: &str = "Redirecting call to abort()";

/// What stands between the words of an exception and its frames.
const JAVASCRIPT_STACK: &str = "Stack:";

/// What `componentize-js` says when something else than an error of the contract is thrown.
const JAVASCRIPT_RECEIVED: &str = "(received `";

/// The glue that `componentize-js` generates. Its folder has another name in every build.
const JAVASCRIPT_GLUE: &str = "/sources/initializer.js";

/// An exception that nobody caught.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    /// What it says, e.g. `AttributeError: 'NoneType' object has no attribute 'strip'`.
    pub(crate) words: String,
    /// Function, file and line, innermost first. Empty where the runtime does not tell.
    pub(crate) frames: Vec<String>,
}

/// Finds the exception with which a guest ended, in the end of what it wrote to standard error.
pub(crate) fn raised(stderr: &str) -> Option<Raised> {
    raised_by_python(stderr).or_else(|| raised_by_javascript(stderr))
}

fn raised_by_python(stderr: &str) -> Option<Raised> {
    let said = &stderr[..stderr.rfind(PYTHON_GAVE_UP)?];
    // An exception that was raised while another one was handled comes last, in a traceback of its own.
    let said = &said[said.rfind(PYTHON_TRACEBACK)? + PYTHON_TRACEBACK.len()..];
    let said = said.rfind("\nthread '").map_or(said, |end| &said[..end]);
    let (mut frames, mut words) = (Vec::new(), Vec::new());
    for line in said.lines().filter(|line| !line.is_empty()) {
        if !line.starts_with(' ') || !words.is_empty() {
            words.push(line);
        } else if let Some(frame) = python_frame(line) {
            frames.push(frame);
        }
    }
    frames.reverse();
    (!words.is_empty()).then(|| Raised { words: words.join("\n"), frames })
}

/// `File "/0/app.py", line 18, in read` as `read (app.py:18)`. Lines of source text are no frames.
fn python_frame(line: &str) -> Option<String> {
    let line = line.trim();
    if line.starts_with("[Previous line repeated") {
        return Some(line.to_owned());
    }
    let (file, rest) = line.strip_prefix("File \"")?.split_once("\", line ")?;
    let (number, function) = rest.split_once(", in ")?;
    let file = file.strip_prefix(PYTHON_ROOT).unwrap_or(file);
    Some(format!("{function} ({file}:{number})"))
}

fn raised_by_javascript(stderr: &str) -> Option<Raised> {
    let said = &stderr[..stderr.rfind(JAVASCRIPT_GAVE_UP)?];
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    let stacks: Vec<usize> =
        (1..lines.len()).filter(|&index| lines[index].trim() == JAVASCRIPT_STACK).collect();
    let told: Vec<Raised> =
        stacks.iter().map(|&stack| javascript_exception(&lines, stack)).collect();
    // The glue's own words come last and have no frame of the author's; those before them say where it was.
    let last_with_frames = told.iter().rposition(|raised| !raised.frames.is_empty());
    let index = last_with_frames.or(told.len().checked_sub(1))?;
    told.into_iter().nth(index)
}

fn javascript_exception(lines: &[&str], stack: usize) -> Raised {
    let words = lines[stack - 1].trim();
    let words = words.split_once(JAVASCRIPT_RECEIVED).map_or(words, |(_, received)| {
        received.rfind("`)").map_or(received, |end| &received[..end])
    });
    let frames = lines[stack + 1..].iter().map_while(|line| javascript_frame(line)).flatten();
    Raised { words: words.to_owned(), frames: frames.collect() }
}

/// `read@src/plugin.js:45:3` as `read (src/plugin.js:45)`. The inner `None` is a frame that is not the author's.
fn javascript_frame(line: &str) -> Option<Option<String>> {
    let (function, place) = line.trim().split_once('@')?;
    let (place, column) = place.rsplit_once(':')?;
    let (file, number) = place.rsplit_once(':')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(column) || !is_number(number) {
        return None;
    }
    if file.ends_with(JAVASCRIPT_GLUE) {
        return Some(None);
    }
    let function = if function.is_empty() { "top level" } else { function };
    Some(Some(format!("{function} ({file}:{number})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stderr: &str, words: &str, frames: &[&str]) {
        let raised = raised(stderr).unwrap();
        assert_eq!(raised.words, words);
        assert_eq!(raised.frames, frames);
    }

    #[test]
    fn a_traceback_of_python_gives_the_exception_and_its_frames() {
        check(
            r#"Traceback (most recent call last):
  File "/0/app.py", line 85, in run
  File "/0/taglines/read.py", line 14, in read
    return said.strip()
           ^^^^^^^^^^
AttributeError: 'NoneType' object has no attribute 'strip'
thread '<unnamed>' (1) panicked at runtime/src/lib.rs:1293:29:
Python function threw an unexpected exception
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"#,
            "AttributeError: 'NoneType' object has no attribute 'strip'",
            &["read (taglines/read.py:14)", "run (app.py:85)"],
        );
    }

    #[test]
    fn of_two_exceptions_of_python_the_last_counts() {
        check(
            r#"Traceback (most recent call last):
  File "/0/app.py", line 1, in first
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/0/app.py", line 3, in second
ValueError: two
lines
thread '<unnamed>' (1) panicked at runtime/src/lib.rs:1293:29:
Python function threw an unexpected exception
"#,
            "ValueError: two\nlines",
            &["second (app.py:3)"],
        );
    }

    #[test]
    fn a_traceback_that_was_only_printed_is_none() {
        assert_eq!(raised("Traceback (most recent call last):\nKeyError: 'a'\n"), None);
        assert_eq!(raised("thread panicked at src/lib.rs:1:1:\nno\n"), None);
        assert_eq!(raised(""), None);
    }

    #[test]
    fn an_exception_of_javascript_has_the_frames_of_its_author() {
        check(
            "TypeError: tagline is undefined\nStack:\nread@src/plugin.js:46:3\nrun@src/plugin.js:75:26\n\
             export_plugin_1_0_0$run@/tmp/97/sources/initializer.js:1989:29\n\n\
             invalid variant tag value `undefined` (received `TypeError: tagline is undefined`) specified for `StageError`\n\
             Stack:\n  export_plugin_1_0_0$run@/tmp/97/sources/initializer.js:2285:17\n\
             Redirecting call to abort() to mozalloc_abort\n",
            "TypeError: tagline is undefined",
            &["read (src/plugin.js:46)", "run (src/plugin.js:75)"],
        );
    }

    #[test]
    fn an_exception_of_javascript_without_a_stack_has_its_words() {
        check(
            "invalid variant tag value `undefined` (received `Error: no`) specified for `StageError`\n\
             Stack:\n  export_plugin_1_0_0$run@/tmp/97/sources/initializer.js:2285:17\n\
             Redirecting call to abort() to mozalloc_abort\n",
            "Error: no",
            &[],
        );
    }
}
