//! Tests that need what not every machine has.
use std::ffi::OsStr;
use std::io::Write as _;

/// Set to `1` where everything is installed: a test that cannot be done fails there.
const REQUIRE_TOOLS: &str = "STAGEWRIGHT_TESTS_REQUIRE_TOOLS";

/// Says loudly that a test did nothing, or fails where that must not be.
pub(crate) fn skipped(test: &str, needs: &str) {
    let missing = format!("{test} needs {needs}");
    assert_ne!(std::env::var_os(REQUIRE_TOOLS).as_deref(), Some(OsStr::new("1")), "{missing}");
    // Past the capture of the test harness: nobody shall take this for a pass.
    writeln!(std::io::stderr(), "SKIPPED: {missing}").expect("standard error");
}
