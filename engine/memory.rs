//! How much memory there is, for refusals that come before the system runs out of it: [`mountainpass_sdk::memory`], which
//! backends ask too.

pub use mountainpass_sdk::memory::{
    Shortage, afford, available, bytes_of, collected, contents, copied, filled, length, reserve, room, size as gib,
};

/// The memory of this machine in bytes, or of the container or the limits that this process stands under.
pub fn total() -> u64 {
    // SAFETY: these calls only read a setting.
    let (pages, page) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    let machine = match (u64::try_from(pages), u64::try_from(page)) {
        (Ok(pages @ 1..), Ok(page @ 1..)) => pages.saturating_mul(page),
        _ => u64::MAX,
    };
    machine.min(mountainpass_sdk::memory::total())
}
