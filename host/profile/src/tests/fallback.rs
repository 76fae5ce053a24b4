//! Modes that have no profile.
use domain::plan::Fallback;
use insta::assert_snapshot;

use super::support::{FakeCatalog, FakeNames, NO_OVERRIDES, Tried, render};
use crate::{Ask, FallbackPolicy, Library};

fn resolved(mode: &str, policy: FallbackPolicy) -> String {
    let ask = Ask { mode, ..NO_OVERRIDES };
    match Library::shipped().resolve(&ask, &FakeCatalog::foundation(), &FakeNames, &policy) {
        Ok(resolved) => {
            let plan = resolved.plan;
            let why = match plan.fallback {
                None => "as asked",
                Some(Fallback::Forced) => "forced",
                Some(Fallback::UnknownMode) => "unknown mode",
            };
            format!("{} -> {}: {why}", plan.requested_mode, plan.effective_mode)
        }
        Err(problems) => render(&problems),
    }
}

#[test]
fn a_known_mode_is_carried_out_unless_the_fallback_is_forced() {
    use FallbackPolicy::{Forced, Off, UnknownMode};
    assert_snapshot!(resolved("foundation_express", Off), @"foundation_express -> foundation_express: as asked");
    assert_snapshot!(resolved("foundation_express", UnknownMode), @"foundation_express -> foundation_express: as asked");
    assert_snapshot!(resolved("foundation_express", Forced), @"foundation_express -> foundation_stack: forced");
    assert_snapshot!(resolved("foundation_stack", Forced), @"foundation_stack -> foundation_stack: forced");
}

#[test]
fn an_unknown_mode_falls_back_unless_the_fallback_is_off() {
    use FallbackPolicy::{Forced, Off, UnknownMode};
    assert_snapshot!(resolved("video_ads", UnknownMode), @"video_ads -> foundation_stack: unknown mode");
    assert_snapshot!(resolved("content_calendar", Forced), @"content_calendar -> foundation_stack: forced");
    assert_snapshot!(resolved("video_ads", Forced), @"video_ads -> foundation_stack: forced");
    assert_snapshot!(resolved("video_ads", Off), @r"
    /mode: no profile has the mode `video_ads`
        hint: the modes: `content_calendar`, `foundation_express`, `foundation_local_market`, `foundation_stack`, `software_delivery`
    ");
    assert_snapshot!(resolved("foundation_stak", Off), @r"
    /mode: no profile has the mode `foundation_stak`
        hint: did you mean `foundation_stack`? the modes: `content_calendar`, `foundation_express`, `foundation_local_market`, `foundation_stack`, `software_delivery`
    ");
}

#[test]
fn a_text_that_cannot_be_a_mode_never_falls_back() {
    use FallbackPolicy::{Forced, UnknownMode};
    assert_snapshot!(resolved("", UnknownMode), @r"
    /mode: no mode is named
        hint: the modes: `content_calendar`, `foundation_express`, `foundation_local_market`, `foundation_stack`, `software_delivery`
    ");
    assert_snapshot!(resolved("../../etc", Forced), @r"
    /mode: `../../etc` cannot be a mode: it does not start with a lower-case letter
        hint: the modes: `content_calendar`, `foundation_express`, `foundation_local_market`, `foundation_stack`, `software_delivery`
    ");
    assert!(resolved(&"x".repeat(1 << 20), Forced).len() < 2_000);
}

#[test]
fn a_broken_profile_is_not_an_unknown_mode() {
    let tried = Tried::new("profile: tried\nversion: '1'\nstages: 5\n");
    let resolved = tried.library().resolve(
        &NO_OVERRIDES,
        &tried.catalog,
        &FakeNames,
        &FallbackPolicy::UnknownMode,
    );
    assert_snapshot!(tried.render(&resolved), @"tried.yaml:3:9: `stages` has to be a list, not a number");
}
