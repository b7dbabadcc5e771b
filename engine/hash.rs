//! SHA-256 as it is written down.

#![forbid(unsafe_code)]

use sha2::{Digest, Sha256};

/// What a digest comes to, in hexadecimal.
pub fn hexadecimal(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
