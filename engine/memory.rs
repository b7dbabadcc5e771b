//! How much memory there is, for refusals that come before the system runs out of it.

/// The memory of this machine in bytes, or of the container this process runs in.
pub fn total() -> u64 {
    // SAFETY: only reads a setting.
    let setting = |name| unsafe { libc::sysconf(name) };
    let (pages, page) = (setting(libc::_SC_PHYS_PAGES), setting(libc::_SC_PAGESIZE));
    let machine = match (u64::try_from(pages), u64::try_from(page)) {
        (Ok(pages @ 1..), Ok(page @ 1..)) => pages.saturating_mul(page),
        _ => u64::MAX,
    };
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    container.and_then(|text| text.trim().parse().ok()).map_or(machine, |limit: u64| machine.min(limit))
}

/// What a new allocation may take without driving others out; the whole memory where the system does not say.
pub fn available() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map_or_else(total, |kib| kib.saturating_mul(1024)).min(total())
}

/// A size in words a person reads.
pub fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_a_part_of_what_there_is() {
        assert!(1 << 20 < available() && available() <= total());
        assert_eq!(gib(3 << 29), "1.5 GiB");
    }
}
