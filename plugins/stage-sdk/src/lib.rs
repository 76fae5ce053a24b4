//! The guest's side of the contract: what a stage's author depends on.
