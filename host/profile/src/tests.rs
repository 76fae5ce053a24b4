//! The crate as others see it: YAML in, a plan or rendered problems out, with a catalog and models that are made up.
mod artifacts;
mod budgets;
mod documented;
mod fallback;
mod files;
mod folders;
mod gates;
mod grants;
mod models;
mod overrides;
mod retries;
mod settings;
mod shipped;
mod stages;
mod support;
