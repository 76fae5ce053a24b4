//! What `wit/` means in Rust, generated. Nothing else in the crate knows how values cross the border.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "stage-plugin",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "stagewright:stage/llm.completion-stream": crate::llm::CompletionStream,
    },
});
