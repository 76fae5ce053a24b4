//! Times calls of the example stage through Extism. For each line on standard input, a number of calls, it writes one line:
//! the nanoseconds that each took. A call is a fresh instance of a compiled plugin, as it is in the sandbox.
use std::io::BufRead as _;
use std::time::Instant;

use extism::{CompiledPlugin, Manifest, PTR, Plugin, PluginBuilder, UserData, Wasm, host_fn};

host_fn!(ask(answer: String; _request: String) -> String {
    let answer = answer.get()?;
    let answer = answer.lock().expect("nobody panics here");
    Ok(answer.clone())
});

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, component, input, answer] = arguments.as_slice() else {
        panic!("usage: extism-peer COMPONENT INPUT ANSWER")
    };
    let component = std::fs::read(component).expect("a component");
    let manifest = Manifest::new([Wasm::data(component)]);
    let builder = PluginBuilder::new(manifest).with_wasi(false).with_function(
        "ask",
        [PTR],
        [PTR],
        UserData::new(answer.clone()),
        ask,
    );
    let compiled = CompiledPlugin::new(builder).expect("a plugin that compiles");
    for line in std::io::stdin().lock().lines() {
        let count: usize = line.expect("a line").parse().expect("a number of calls");
        let took: Vec<String> = (0..count).map(|_| one(&compiled, input).to_string()).collect();
        println!("{}", took.join(" "));
    }
}

fn one(compiled: &CompiledPlugin, input: &str) -> u128 {
    let began = Instant::now();
    let mut plugin = Plugin::new_from_compiled(compiled).expect("an instance");
    let output: String = plugin.call("run", input).expect("an output");
    let took = began.elapsed().as_nanos();
    assert!(output.contains("taglines.md"), "{output}");
    took
}
