//! Where there is no such memory isolation is refused.

use super::*;

pub fn memory_file() -> Result<File> {
    let text = "isolation needs Linux: sealed memory files and futexes".to_owned();
    Err(Error::Unsupported { backend: "this system".into(), text })
}
pub fn reserve(_: &File, _: usize) -> Result<()> {
    Ok(())
}
pub fn stretch(_: &mut Mapping, _: usize) -> *mut libc::c_void {
    libc::MAP_FAILED
}
pub fn keep_from_copies(_: &Mapping) -> Result<()> {
    Ok(())
}
pub fn wait(_: &AtomicU32, _: u32, most: Duration) {
    std::thread::sleep(most.min(Duration::from_millis(1)));
}
pub fn wake(_: &AtomicU32) {}
