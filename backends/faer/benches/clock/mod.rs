//! The clock of the benches.

/// Processor time of this process in seconds: on a shared machine, waiting for a core is not counted.
pub fn clock() -> f64 {
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanoseconds: i64,
    }
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
    }
    const PROCESS: i32 = if cfg!(target_os = "macos") { 12 } else { 2 };
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: POSIX; the struct is its timespec on 64-bit systems.
    let status = unsafe { clock_gettime(PROCESS, &mut time) };
    assert_eq!(status, 0, "there is a processor clock");
    time.seconds as f64 + 1e-9 * time.nanoseconds as f64
}
