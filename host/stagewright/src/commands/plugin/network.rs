//! What is told of a stage that wants a network where it has none.

/// How a stage that sends requests is tested.
pub(super) const HOW_TO_TEST: &str = "`plugin run` and `plugin test` give a stage no network, whatever is granted: start a run whose profile grants the host, then take the attempt with `stagewright plugin record`, and test with `stagewright plugin replay`, which gives the recorded responses";
