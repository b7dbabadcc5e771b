//! The state of this process that a plugin must leave as it found it, and the little that a test's process needs.

use super::region::page;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// What a plugin may not change; [`difference`](ProcessState::difference) says what it did.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessState {
    folder: Option<std::path::PathBuf>,
    environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    /// Per signal: handler and flags.
    handlers: Vec<(i32, usize, i32)>,
    blocked: Vec<i32>,
    children: bool,
    /// Device and file of descriptors 0, 1, 2.
    streams: [Option<(u64, u64)>; 3],
    /// Per resource: the limit in force and the highest it may be set to.
    limits: Vec<(&'static str, libc::rlim_t, libc::rlim_t)>,
    /// The mode that new files do not get, as the system prints it.
    mask: Option<String>,
    floating: u64,
}

impl ProcessState {
    /// The state now, as this thread sees it.
    pub fn now() -> ProcessState {
        let mut environment: Vec<_> = std::env::vars_os().collect();
        environment.sort();
        ProcessState {
            folder: std::env::current_dir().ok(),
            environment,
            handlers: handlers(),
            blocked: blocked(),
            children: has_children(),
            streams: [0, 1, 2].map(stream),
            limits: limits(),
            mask: mask(),
            floating: floating_mode(),
        }
    }

    /// What is different in `later`, as the end of a sentence.
    pub fn difference(&self, later: &ProcessState) -> Option<String> {
        let signal = self.handlers.iter().zip(&later.handlers).find(|(before, after)| before != after);
        let limit = self.limits.iter().zip(&later.limits).find(|(before, after)| before != after);
        let stream = self.streams.iter().zip(&later.streams).position(|(before, after)| before != after);
        if self.folder != later.folder {
            let folder = later.folder.as_ref().map_or("gone".into(), |folder| folder.display().to_string());
            Some(format!("the working directory is {folder}"))
        } else if self.environment != later.environment {
            let changed = |pair: &&(std::ffi::OsString, std::ffi::OsString)| !self.environment.contains(pair);
            let name = later.environment.iter().find(changed).map(|(name, _)| name.to_string_lossy().into_owned());
            Some(format!("the environment has changed ({})", name.unwrap_or_else(|| "a variable is gone".into())))
        } else if let Some((before, _)) = signal {
            Some(format!("signal {} has another handler", before.0))
        } else if self.blocked != later.blocked {
            Some(format!("the signals {:?} are blocked", later.blocked))
        } else if self.children != later.children {
            Some("there is a child process".into())
        } else if let Some(at) = stream {
            Some(format!("the standard {} is closed or another file", ["input", "output", "error output"][at]))
        } else if let Some((before, after)) = limit {
            Some(format!("the limit {} is {} (was {})", before.0, after.1, before.1))
        } else if self.mask != later.mask {
            Some(format!("the mask of new files is {}", later.mask.as_deref().unwrap_or("unknown")))
        } else if self.floating != later.floating {
            Some(format!("the floating-point control register is {:#x}, not {:#x}", later.floating, self.floating))
        } else {
            None
        }
    }
}

/// The last signal that programs use.
const SIGNALS: i32 = 31;

fn handlers() -> Vec<(i32, usize, i32)> {
    let signals = (1..=SIGNALS).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal));
    signals
        .map(|signal| {
            // SAFETY: numbers, and an `Option` of a function.
            let mut found: libc::sigaction = unsafe { std::mem::zeroed() };
            // SAFETY: asks only; the record is ours.
            unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut found) };
            (signal, found.sa_sigaction, found.sa_flags)
        })
        .collect()
}

fn blocked() -> Vec<i32> {
    // SAFETY: plain numbers.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: asks only; the set is ours.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    // SAFETY: as above.
    (1..=SIGNALS).filter(|&signal| unsafe { libc::sigismember(&raw const set, signal) } == 1).collect()
}

fn has_children() -> bool {
    let peek = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let mut found = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
    // SAFETY: waitid fills the record and takes nothing away; it fails where there are no children.
    unsafe { libc::waitid(libc::P_ALL, 0, found.as_mut_ptr(), peek) == 0 }
}

fn stream(descriptor: i32) -> Option<(u64, u64)> {
    // SAFETY: plain numbers.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: fills a record of ours, or fails.
    let failed = unsafe { libc::fstat(descriptor, &raw mut found) } != 0;
    (!failed).then_some((found.st_dev as u64, found.st_ino as u64))
}

fn limits() -> Vec<(&'static str, libc::rlim_t, libc::rlim_t)> {
    let resources = [
        ("RLIMIT_AS", libc::RLIMIT_AS),
        ("RLIMIT_CORE", libc::RLIMIT_CORE),
        ("RLIMIT_CPU", libc::RLIMIT_CPU),
        ("RLIMIT_DATA", libc::RLIMIT_DATA),
        ("RLIMIT_FSIZE", libc::RLIMIT_FSIZE),
        ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE),
        ("RLIMIT_NPROC", libc::RLIMIT_NPROC),
        ("RLIMIT_STACK", libc::RLIMIT_STACK),
    ];
    let limit = |(name, resource)| {
        let mut found = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: fills a record of ours, or leaves it zero.
        unsafe { libc::getrlimit(resource, &raw mut found) };
        (name, found.rlim_cur, found.rlim_max)
    };
    resources.map(limit).into()
}

/// Reading it in any other way would change it; `None` where the system does not say.
fn mask() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| Some(line.strip_prefix("Umask:")?.trim().to_owned()))
}

/// The control bits of this thread's floating-point unit: rounding, flush to zero, traps; not the sticky flags.
fn floating_mode() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        let (mut sse, mut x87) = (0_u32, 0_u16);
        // SAFETY: stores a register into memory of ours.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut sse, options(nostack)) };
        // SAFETY: as above.
        unsafe { std::arch::asm!("fnstcw [{}]", in(reg) &raw mut x87, options(nostack)) };
        u64::from(sse & !0x3f) << 16 | u64::from(x87)
    }
    #[cfg(target_arch = "aarch64")]
    {
        let control: u64;
        // SAFETY: reads a register.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack)) };
        control
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    0
}

/// What a process holds; 0 where the system does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessUsage {
    pub descriptors: usize,
    pub threads: usize,
    /// Bytes of memory in use.
    pub resident: usize,
}

impl ProcessUsage {
    /// Of this process, now.
    pub fn now() -> ProcessUsage {
        let count = |folder| std::fs::read_dir(folder).map_or(0, Iterator::count);
        let pages = std::fs::read_to_string("/proc/self/statm").ok();
        let resident = pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok()).unwrap_or(0);
        // Looking takes a descriptor itself, the same each time.
        ProcessUsage {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            resident: resident * page(),
        }
    }

    /// The same once threads that were told to end have had `patience` to do so, if they are more than `threads`.
    pub fn settled(threads: usize, patience: Duration) -> ProcessUsage {
        let since = std::time::Instant::now();
        loop {
            let held = ProcessUsage::now();
            if held.threads <= threads || since.elapsed() > patience {
                return held;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The standard output streams led into a file for a while.
pub struct Captured {
    file: File,
    saved: [OwnedFd; 2],
}

impl Captured {
    /// From now on.
    pub fn begin() -> std::io::Result<Captured> {
        let path = std::env::temp_dir().join(format!("mpass-captured-{}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?; // It lives as long as it is open.
        let [out, err] = [1, 2].map(|descriptor| {
            // SAFETY: a number, of an open descriptor or of none.
            match unsafe { libc::dup(descriptor) } {
                ..0 => Err(std::io::Error::last_os_error()),
                // SAFETY: fresh, owned by nobody else.
                copy => Ok(unsafe { OwnedFd::from_raw_fd(copy) }),
            }
        });
        let captured = Captured { file, saved: [out?, err?] };
        captured.point([captured.file.as_raw_fd(); 2]);
        Ok(captured)
    }

    /// Up to now: what was written.
    pub fn end(mut self) -> std::io::Result<String> {
        self.point([self.saved[0].as_raw_fd(), self.saved[1].as_raw_fd()]);
        let mut bytes = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn point(&self, to: [i32; 2]) {
        // SAFETY: NULL flushes the C library's streams.
        unsafe { libc::fflush(std::ptr::null_mut()) };
        for (from, standard) in to.into_iter().zip(1..) {
            // SAFETY: descriptors 1 and 2 become copies of open ones.
            unsafe { libc::dup2(from, standard) };
        }
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        self.point([self.saved[0].as_raw_fd(), self.saved[1].as_raw_fd()]);
    }
}

/// A time in which hardly any memory is to be had.
pub struct Scarcity(libc::rlimit);

/// What may be had all the same, so that a text can be written and a small list made.
const CRUMBS: libc::rlim_t = 1 << 20;

impl Scarcity {
    /// From now on; changes nothing where the system does not say how much is in use.
    pub fn begin() -> Scarcity {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmData:")?.trim().strip_suffix(" kB"));
        let used = kilobytes.and_then(|number| number.trim().parse::<libc::rlim_t>().ok());
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a limit of this process, into a record of ours.
        unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut before) };
        if let Some(used) = used {
            let rlim_cur = before.rlim_max.min((used << 10) + CRUMBS);
            // SAFETY: the same from one.
            unsafe { libc::setrlimit(libc::RLIMIT_DATA, &libc::rlimit { rlim_cur, ..before }) };
        }
        Scarcity(before)
    }
}

impl Drop for Scarcity {
    fn drop(&mut self) {
        // SAFETY: the limit that was there before.
        unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const self.0) };
    }
}

/// Prepares a process that runs one test: no core files, and an end of its own should nobody be left to end it.
pub fn settle_in(limit: Duration) {
    // SAFETY: a setting of this process, as the two below.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)
    };
    // SAFETY: as above.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 }) };
    // SAFETY: as above.
    unsafe { libc::alarm(u32::try_from(limit.as_secs()).unwrap_or(u32::MAX - 60) + 60) };
}

/// Ends this process at once: a test has its verdict, and the plugin's exit handlers are no part of it, unless the test
/// is about them.
pub fn leave(handlers: bool) -> ! {
    if handlers {
        std::process::exit(0);
    }
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_differs_from_itself_in_nothing_and_names_what_changed() {
        let before = ProcessState::now();
        assert_eq!(before.difference(&before), None);
        let after = ProcessState { folder: Some("/elsewhere".into()), ..before.clone() };
        assert_eq!(before.difference(&after).unwrap(), "the working directory is /elsewhere");
        let mut after = before.clone();
        after.environment.push(("MPASS_X".into(), "1".into()));
        assert_eq!(before.difference(&after).unwrap(), "the environment has changed (MPASS_X)");
        let mut after = before.clone();
        after.handlers[1].1 ^= 8;
        assert_eq!(before.difference(&after).unwrap(), "signal 2 has another handler");
        let mut after = before.clone();
        after.limits[2].1 = 7;
        assert!(after.difference(&before).unwrap().starts_with("the limit RLIMIT_CPU is "));
        let after = ProcessState { mask: Some("0777".into()), ..before.clone() };
        assert_eq!(before.difference(&after).unwrap(), "the mask of new files is 0777");
        let after = ProcessState { streams: [before.streams[0], None, None], ..before.clone() };
        assert_eq!(before.difference(&after).unwrap(), "the standard output is closed or another file");
    }

    #[test]
    fn what_a_process_holds_can_be_counted() {
        let before = ProcessUsage::now();
        let _files: Vec<File> = (0..3).map(|_| File::open("/dev/null").unwrap()).collect();
        let after = ProcessUsage::now();
        assert!(before.threads >= 1 && before.resident > 0);
        assert!(after.descriptors >= before.descriptors + 3); // Other tests open files, too.
    }
}
