//! What is not a plugin is refused at load, with everything that is wrong and what to do.
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

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
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
    assert_says(&empty[0], &["it does not fit the contract", "describe"]);
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

/// What runtimes of other languages bring with them: sockets, and HTTP with its resources.
const IMPORTS_OF_OTHER_LANGUAGES: &str = r#"
    package test:plugin;

    package wasi:io@0.2.3 {
        interface streams { resource output-stream; }
    }

    package wasi:sockets@0.2.3 {
        interface network { resource network; }
        interface instance-network {
            use network.{network};
            instance-network: func() -> network;
        }
    }

    package wasi:http@0.2.3 {
        interface types {
            use wasi:io/streams@0.2.3.{output-stream};
            resource fields { constructor(); }
            resource outgoing-body { write: func() -> result<output-stream>; }
            resource outgoing-request { constructor(headers: fields); }
        }
        interface outgoing-handler {
            use types.{outgoing-request};
            handle: func(request: outgoing-request);
        }
    }

    world other-language {
        include stagewright:stage/stage-plugin@1.0.0;
        import wasi:sockets/instance-network@0.2.3;
        import wasi:http/types@0.2.3;
        import wasi:http/outgoing-handler@0.2.3;
    }
"#;

/// A plugin that imports sockets and HTTP, and whose `describe` does this with them.
fn plugin_of_another_language(describe: &str) -> Vec<u8> {
    let mut core = component(&format!(
        r#"(module
            (import "wasi:sockets/instance-network@0.2.3" "instance-network" (func (result i32)))
            (import "wasi:http/types@0.2.3" "[constructor]fields" (func $fields (result i32)))
            (import "wasi:http/types@0.2.3" "[constructor]outgoing-request" (func $request (param i32) (result i32)))
            (import "wasi:http/types@0.2.3" "[method]outgoing-body.write" (func (param i32 i32)))
            (import "wasi:http/outgoing-handler@0.2.3" "handle" (func (param i32)))
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2048))
            (func (export "stagewright:stage/plugin@1.0.0#describe") (result i32) {describe} (i32.const 1024))
            (func (export "stagewright:stage/plugin@1.0.0#build-prompt") (param i32) (result i32) unreachable)
            (func (export "stagewright:stage/plugin@1.0.0#run") (param i32) (result i32) unreachable)
        )"#
    ));
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let package = resolve.push_str("test.wit", IMPORTS_OF_OTHER_LANGUAGES).unwrap();
    let world = resolve.select_world(&[package], Some("other-language")).unwrap();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut core, &resolve, world, encoding).unwrap();
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder.module(&core).unwrap().validate(true).encode().unwrap()
}

/// It loads and runs: what it says about itself is empty, and is all that is found.
#[test]
fn imports_of_other_languages_are_linked() {
    let findings = findings(&plugin_of_another_language("nop"));
    assert_says(&findings[0], &["its name `` is none"]);
}

#[test]
fn every_call_to_http_stops_the_guest_by_name() {
    let findings = findings(&plugin_of_another_language("(drop (call $fields))"));
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_says(
        &findings[0],
        &[
            "`describe` gave no answer",
            "it called `wasi:http/types@0.2.3#[constructor]fields`",
            "no network",
        ],
    );
}

#[test]
fn a_description_that_never_comes_is_not_waited_for() {
    let findings = findings(&plugin_of_another_language("(loop $forever (br $forever))"));
    assert_says(&findings[0], &["`describe` gave no answer", "computing time"]);
}
