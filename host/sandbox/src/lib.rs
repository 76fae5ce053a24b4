//! Runs one stage in a closed box; the only crate that names Wasmtime.
