//! Components made by hand, for what no compiler brings forth.
use std::fmt::Write;

/// From the text format.
pub(super) fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// What runtimes of other languages bring with them: sockets, and HTTP with its resources.
const WORLD: &str = r#"
    package test:plugin;

    package wasi:io@0.2.3 {
        interface poll {
            resource pollable;
            poll: func(in: list<borrow<pollable>>) -> list<u32>;
        }
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
        import wasi:io/poll@0.2.3;
        import wasi:sockets/instance-network@0.2.3;
        import wasi:http/types@0.2.3;
        import wasi:http/outgoing-handler@0.2.3;
    }
"#;

/// A plugin with this name and version, that makes nothing and whose `run` traps. It compiles in no time.
pub(super) fn plugin(name: &str, version: &str) -> Vec<u8> {
    encode("nop", &info_data(name, version))
}

/// The same, which imports nothing.
pub(super) fn plain_plugin(name: &str, version: &str) -> Vec<u8> {
    let data = info_data(name, version);
    let mut core = component(&format!(
        r#"(module
            (memory (export "memory") 1)
            {data}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))
            (func (export "stagewright:stage/plugin@1.0.0#describe") (result i32) (i32.const 1024))
            (func (export "stagewright:stage/plugin@1.0.0#build-prompt") (param i32) (result i32) unreachable)
            (func (export "stagewright:stage/plugin@1.0.0#run") (param i32) (result i32) unreachable)
        )"#
    ));
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) =
        resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("stage-plugin")).unwrap();
    as_component(&mut core, &resolve, world)
}

/// What `describe` gives back, as data of the memory.
fn info_data(name: &str, version: &str) -> String {
    // The record `stage-info` at 1024: start and length of each text or list; the texts stand behind it.
    let texts = [name, version, "Made for a test.", "", "", "", "{}"];
    let mut start = 1024 + 8 * texts.len();
    let (mut record, mut bodies) = (String::new(), String::new());
    for text in texts {
        // An empty list has to be aligned as well.
        let place = if text.is_empty() { 1024 } else { start };
        for number in [place, text.len()] {
            for byte in u32::try_from(number).unwrap().to_le_bytes() {
                write!(record, "\\{byte:02x}").unwrap();
            }
        }
        bodies.push_str(text);
        start += text.len();
    }
    format!(r#"(data (i32.const 1024) "{record}{bodies}")"#)
}

/// A plugin without name, whose `describe` does this.
pub(super) fn plugin_that(describe: &str) -> Vec<u8> {
    encode(describe, "")
}

/// A plugin with debug information, whose `describe` reads behind the end of its memory, in line 3 of `reader.wat`. It
/// imports nothing.
pub(super) fn plugin_out_of_bounds() -> Vec<u8> {
    let text = r#"(module (memory (export "memory") 1) (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768)) (func (export "stagewright:stage/plugin@1.0.0#build-prompt") (param i32) (result i32) unreachable) (func (export "stagewright:stage/plugin@1.0.0#run") (param i32) (result i32) unreachable) (func (export "stagewright:stage/plugin@1.0.0#describe") (result i32) (call $read_behind_the_end))
        (func $read_behind_the_end (result i32)
            (i32.load (i32.const -4))))"#;
    let mut parser = wat::Parser::new();
    parser.generate_dwarf(wat::GenerateDwarf::Lines);
    let mut core = parser.parse_str(Some("reader.wat".as_ref()), text).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) =
        resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("stage-plugin")).unwrap();
    as_component(&mut core, &resolve, world)
}

fn encode(describe: &str, data: &str) -> Vec<u8> {
    with_world(component(&core_text(describe, data)))
}

fn core_text(describe: &str, data: &str) -> String {
    format!(
        r#"(module
            (import "wasi:io/poll@0.2.3" "poll" (func $poll (param i32 i32 i32)))
            (import "wasi:sockets/instance-network@0.2.3" "instance-network" (func $network (result i32)))
            (import "wasi:http/types@0.2.3" "[constructor]fields" (func $fields (result i32)))
            (import "wasi:http/types@0.2.3" "[constructor]outgoing-request" (func (param i32) (result i32)))
            (import "wasi:http/types@0.2.3" "[method]outgoing-body.write" (func (param i32 i32)))
            (import "wasi:http/outgoing-handler@0.2.3" "handle" (func (param i32)))
            (memory (export "memory") 1)
            {data}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 32768))
            (func (export "stagewright:stage/plugin@1.0.0#describe") (result i32) {describe} (i32.const 1024))
            (func (export "stagewright:stage/plugin@1.0.0#build-prompt") (param i32) (result i32) unreachable)
            (func (export "stagewright:stage/plugin@1.0.0#run") (param i32) (result i32) unreachable)
        )"#
    )
}

fn with_world(mut core: Vec<u8>) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let package = resolve.push_str("test.wit", WORLD).unwrap();
    let world = resolve.select_world(&[package], Some("other-language")).unwrap();
    as_component(&mut core, &resolve, world)
}

fn as_component(
    core: &mut Vec<u8>,
    resolve: &wit_parser::Resolve,
    world: wit_parser::WorldId,
) -> Vec<u8> {
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(core, resolve, world, encoding).unwrap();
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder.module(core).unwrap().validate(true).encode().unwrap()
}
