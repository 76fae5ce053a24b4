//! What is not a plugin is refused at load, with everything that is wrong and what to do.
use super::made::component;
use super::*;

#[track_caller]
fn findings(bytes: &[u8]) -> Vec<String> {
    match sandbox().inspect(bytes, "test.wasm") {
        Err(PluginError::Unfit { place, findings }) => {
            assert_eq!(place, "test.wasm");
            findings
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_component_that_is_cut_off_is_named_so() {
    let rogue = rogue()[0].1;
    for len in [0, 3, 7, 20, rogue.len() / 2, rogue.len() - 1] {
        let findings = findings(&rogue[..len]);
        assert_says(&findings.join("\n"), &["it is cut off"]);
    }
}

#[test]
fn what_is_no_component_is_named_by_what_it_is() {
    assert_says(&findings(b"#!/bin/sh\n").join("\n"), &["it is not WebAssembly"]);
    let core = component("(module)");
    assert_says(&findings(&core).join("\n"), &["it is a core module", "wasm32-wasip2"]);
}

#[test]
fn all_findings_come_together() {
    let findings = findings(&component(
        r#"(component
            (import "acme:db/sql@1.0.0" (instance (export "query" (func))))
            (import "wasi:cli/environment@0.3.0" (instance))
            (import "launch" (func))
            (import "wasi:io/error@0.2.6" (instance))
        )"#,
    ));
    assert_eq!(findings.len(), 4, "{findings:#?}");
    assert_says(&findings[0], &["`acme:db/sql@1.0.0`, which no stage has"]);
    assert_says(&findings[1], &["`wasi:cli/environment@0.3.0`", "version 0.2"]);
    assert_says(&findings[2], &["`launch`, which is no interface"]);
    assert_says(
        &findings[3],
        &["does not export `stagewright:stage/plugin@1.0.0`", "it exports nothing"],
    );
}

/// A component that exports an empty interface.
fn exporting(name: &str) -> Vec<u8> {
    component(&format!(r#"(component (instance $nothing) (export "{name}" (instance $nothing)))"#))
}

#[test]
fn another_version_of_the_contract_is_refused_with_the_way_out() {
    let newer = findings(&exporting("stagewright:stage/plugin@2.0.0"));
    assert_says(&newer[0], &["built for version 2.0.0", "runs versions 1.x"]);
    let later = findings(&exporting("stagewright:stage/plugin@1.7.0"));
    assert_says(&later[0], &["built for version 1.7.0", "update the host"]);
    let empty = findings(&exporting("stagewright:stage/plugin@1.0.0"));
    assert_says(&empty.join("\n"), &["it does not export `describe`", "it does not export `run`"]);
}

#[test]
fn a_function_that_wasi_does_not_have_is_refused_by_name() {
    let findings = findings(&component(
        r#"(component
            (import "wasi:cli/environment@0.2.6" (instance (export "set-environment" (func))))
            (instance $nothing) (export "stagewright:stage/plugin@1.0.0" (instance $nothing))
        )"#,
    ));
    assert_says(&findings.join("\n"), &["set-environment"]);
}

#[test]
fn proposals_that_stages_do_not_need_are_off() {
    for module in [
        "(memory i64 1)",
        "(memory 1 1 shared)",
        "(tag)",
        "(type (struct))",
        "(func (param i32) local.get 0 return_call 0)",
    ] {
        let findings = findings(&component(&format!("(component (core module {module}))")));
        assert_says(&findings.join("\n"), &["it cannot be compiled"]);
    }
}

#[test]
fn more_memory_than_a_slot_has_is_refused() {
    let findings = findings(&component(
        r"(component
            (core module $big (memory 8193))
            (core instance (instantiate $big))
            (core module $one (memory 1))
            (core instance (instantiate $one))
            (core instance (instantiate $one))
        )",
    ));
    assert_says(&findings.join("\n"), &["memor"]);
}

/// It loads and runs: what it says about itself is empty, and is all that is found.
#[test]
fn imports_of_other_languages_are_linked() {
    let findings = findings(&made::plugin_that("nop"));
    assert_says(&findings[0], &["its name `` is none"]);
    let plugin = sandbox().inspect(&made::plugin("other-language", "1.0.0"), "test").unwrap();
    assert!(plugin.imports.iter().any(|import| import == "wasi:http/types@0.2.3"));
    assert!(plugin.imports.iter().any(|import| import == "wasi:sockets/instance-network@0.2.3"));
}

#[test]
fn every_call_to_http_stops_the_guest_by_name() {
    let findings = findings(&made::plugin_that("(drop (call $fields))"));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_says(
        &findings[0],
        &[
            "`describe` gave no answer",
            "it called `wasi:http/types@0.2.3#[constructor]fields`",
            "must not happen in `describe`: move the request to `run`",
        ],
    );
}

#[test]
fn a_description_that_never_comes_is_not_waited_for() {
    let findings = findings(&made::plugin_that("(loop $forever (br $forever))"));
    assert_says(&findings[0], &["`describe` gave no answer", "computing time"]);
}

#[test]
fn handles_that_are_never_given_back_run_out() {
    let findings =
        findings(&made::plugin_that("(loop $forever (drop (call $network)) (br $forever))"));
    assert_says(&findings[0], &["`describe` gave no answer", "broke the contract"]);
}

#[test]
fn a_list_that_would_keep_the_host_busy_is_stopped() {
    // The list overlaps with everything the guest has: four million handles, all in 16 MiB.
    let findings = findings(&made::plugin_that(
        "(drop (memory.grow (i32.const 256))) (call $poll (i32.const 0) (i32.const 4000000) (i32.const 1024))",
    ));
    assert_says(
        &findings[0],
        &["`describe` gave no answer", "bytes of one call", "1.0 MiB allowed"],
    );
}
