//! The program from outside: the real binary, real components, real HTTP. One module for each promise.
mod bad_input;
mod budgets;
mod cli;
mod concurrency;
mod crash;
mod foundation;
mod full_disk;
mod housekeeping;
mod models;
mod profiles;
mod secrets;
mod signals;
mod support;
mod tidy;
