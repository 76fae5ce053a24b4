//! Notes for the people who look at a run. Bounded by the host; never put secrets or whole prompts here.
//!
//! Outside of WebAssembly the lines are kept in the thread, so that a test can look at them with `take`.
#[cfg(target_arch = "wasm32")]
use crate::bindings::stagewright::stage::log as host;

pub use crate::bindings::stagewright::stage::log::Level;

/// For the plugin's author.
pub fn debug(message: &str, fields: &[(&str, &str)]) {
    write(Level::Debug, message, fields);
}

/// For who looks at the run.
pub fn info(message: &str, fields: &[(&str, &str)]) {
    write(Level::Info, message, fields);
}

/// Something is not as it should be.
pub fn warn(message: &str, fields: &[(&str, &str)]) {
    write(Level::Warn, message, fields);
}

/// Something failed.
pub fn error(message: &str, fields: &[(&str, &str)]) {
    write(Level::Error, message, fields);
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    let fields: Vec<host::Field> = fields
        .iter()
        .map(|(key, value)| host::Field { key: (*key).to_owned(), value: (*value).to_owned() })
        .collect();
    host::write(level, message, &fields);
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::take;
#[cfg(not(target_arch = "wasm32"))]
use native::write;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::RefCell;

    use super::Level;

    thread_local! {
        static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
        let word = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let fields: String = fields.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        LINES.with_borrow_mut(|lines| lines.push(format!("{word}: {message}{fields}")));
    }

    /// The lines that this thread logged since it was last asked, each as `level: message key=value`.
    pub fn take() -> Vec<String> {
        LINES.take()
    }
}
