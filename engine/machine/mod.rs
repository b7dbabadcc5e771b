//! What the machine gives: threads that share work, processes that end with all they started, memory that is asked for
//! first, and files that are written whole or not at all.

pub mod child;
pub mod durable;
pub mod memory;
pub mod pool;
