//! How much memory there is, for refusals that come before the system runs out of it: [`mountainpass_sdk::memory`], which
//! backends ask too.

pub use mountainpass_sdk::memory::{
    Shortage, afford, available, bytes_of, collected, contents, copied, filled, grow, length, reserve, room,
    size as gib,
};

/// The memory of this machine in bytes, or of the container or the limits that this process stands under.
pub fn total() -> u64 {
    // SAFETY: only reads a setting.
    let setting = |name| unsafe { libc::sysconf(name) };
    let (pages, page) = (setting(libc::_SC_PHYS_PAGES), setting(libc::_SC_PAGESIZE));
    let machine = match (u64::try_from(pages), u64::try_from(page)) {
        (Ok(pages @ 1..), Ok(page @ 1..)) => pages.saturating_mul(page),
        _ => u64::MAX,
    };
    machine.min(mountainpass_sdk::memory::total())
}

/// What a process has of the machine's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Bytes of the process's own, without what it has mapped from files.
    pub own: u64,
    /// Bytes of shared mappings without a file behind them.
    pub shared: u64,
}

/// The memory of a running process, where the system says.
pub fn resident(process: u32) -> Option<Resident> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let bytes_behind = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(Resident { own: bytes_behind("RssAnon:")?, shared: bytes_behind("RssShmem:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_a_part_of_what_there_is() {
        assert!(1 << 20 < available() && available() <= total());
        assert!(
            !cfg!(target_os = "linux") || resident(std::process::id()).is_some_and(|resident| resident.own > 1 << 12)
        );
    }
}
