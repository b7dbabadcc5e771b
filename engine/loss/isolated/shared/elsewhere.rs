//! Where there is no such memory: `Isolation::new` refuses, and nothing of this is reached.

use std::fs::File;
use std::io::{ErrorKind, Result};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

pub fn memory_file() -> Result<File> {
    Err(ErrorKind::Unsupported.into())
}
pub fn reserve(_: &File, _: usize) -> Result<()> {
    Ok(())
}
/// # Safety
/// None is needed: nothing is done.
pub unsafe fn stretch(_: NonNull<u8>, _: usize, _: usize) -> *mut libc::c_void {
    libc::MAP_FAILED
}
/// # Safety
/// None is needed: nothing is done.
pub unsafe fn keep_from_copies(_: NonNull<u8>, _: usize) -> Result<()> {
    Ok(())
}
pub fn wait(_: &AtomicU32, _: u32, most: Duration) {
    std::thread::sleep(most.min(Duration::from_millis(1)));
}
pub fn wake(_: &AtomicU32) {}
