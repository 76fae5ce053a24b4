//! Everything random, from one seed.
//!
//! Each place that chooses has a generator of its own, made from the seed and the place's name: what one of them draws
//! does not depend on how often another one drew before.
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use sha2::{Digest as _, Sha256};

/// The generator of a place.
pub(crate) fn chance(seed: u64, place: &str) -> StdRng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(place.as_bytes());
    StdRng::from_seed(hash.finalize().into())
}
