//! Backends from files: where they are looked for, and how a shared library becomes a table.
//!
//! A library is opened RTLD_NOW | RTLD_LOCAL and never unmapped: its threads, its exit handlers and the static texts
//! of its table live as long as the process.

use super::host::{Host, Log};
use super::table::{Plugin, refusal};
use crate::error::{Error, Result};
use crate::machine::pool::Pool;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use mountainpass_sdk::abi::{self, Status, status};
use std::ffi::{CStr, OsStr};
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens a plugin file, calls its entry symbol and checks the table it returns.
pub(super) fn load(path: &Path, log: Arc<Log>) -> Result<Plugin> {
    let fault = |code: Status, text: String| Error::Plugin { path: path.to_owned(), code, text };
    let full = full(path)?;
    // SAFETY: running a library's initialisers is what loading a plugin means; the user named the file.
    let library = unsafe { Library::open(Some(&full), RTLD_NOW | RTLD_LOCAL) };
    let library = ManuallyDrop::new(library.map_err(|e| fault(status::VERSION, said(&e, &full)))?);
    // SAFETY: the symbol, where it exists, has the type that the header gives it.
    let entry = unsafe { library.get::<abi::Entry>(abi::ENTRY_SYMBOL.to_bytes_with_nul()) };
    let Ok(entry) = entry else { return Err(fault(status::VERSION, missing(&library))) };
    let host = Host::new(Arc::new(Pool::new(1)), log);
    let mut err = abi::Error::NONE;
    // SAFETY: both arguments are valid for the call.
    let table = unsafe { entry(host.record(), &raw mut err) };
    if table.is_null() {
        let (code, text) = refusal(err.code, &err);
        let silent = err.message().is_empty();
        let text = if silent { "refuses to load and does not say why".into() } else { format!("refuses: {text}") };
        return Err(fault(if err.code == status::OK { status::BACKEND } else { code }, text));
    }
    // SAFETY: the entry symbol returns a constant table, and the library is never unmapped.
    unsafe { Plugin::read(table) }
        .map_err(|text| fault(status::BACKEND, format!("its table breaks the contract: {text}")))
}

/// The full path of a plugin file: with another one the system's loader would search its own folders.
pub(super) fn full(path: &Path) -> Result<PathBuf> {
    let fault =
        |e: std::io::Error| Error::Plugin { path: path.to_owned(), code: status::NOT_FOUND, text: e.to_string() };
    path.canonicalize().map_err(fault)
}

/// The program `mpass`, if it lies beside the engine's library or the program.
pub(super) fn server() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok();
    let here = [library_folder(), exe.and_then(|exe| Some(exe.parent()?.to_owned()))];
    here.into_iter().flatten().map(|folder| folder.join("mpass")).find(|file| file.is_file())
}

/// What the system's loader says, without the path that our message begins with.
pub(crate) fn said(error: &libloading::Error, path: &Path) -> String {
    let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let prefix = format!("{}: ", path.display());
    text.strip_prefix(&prefix).unwrap_or(&text).trim().to_owned()
}

/// Why there is no entry symbol: another major version, or no plugin at all.
pub(crate) fn missing(library: &Library) -> String {
    let ours = abi::ENTRY_SYMBOL.to_string_lossy();
    let (stem, ours_major) = ours.rsplit_once('v').unwrap_or((&ours, ""));
    // SAFETY: the address is compared with NULL and never called.
    let speaks = |major: &u32| unsafe { library.get::<*const ()>(format!("{stem}v{major}\0").as_bytes()) }.is_ok();
    match (0..10).find(speaks) {
        Some(major) => format!(
            "speaks version {major} of the plugin contract, this engine speaks version {ours_major}: rebuild the \
             plugin against this engine's headers"
        ),
        None => format!("exports no {ours}: it is no mountainpass plugin"),
    }
}

/// The file of the backend `name`, if it lies in one of the folders that are searched.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let variable = std::env::var_os("MPASS_BACKEND_PATH").filter(|_| !elevated());
    let here = [library_folder(), std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()))];
    let file = file(name);
    folders(variable.as_deref(), here).into_iter().map(|folder| folder.join(&file)).find(|path| path.is_file())
}

/// The name of the file in which a backend is looked for.
pub(super) fn file(name: &str) -> String {
    format!("{}mpass_{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// The folders that are searched: those of the variable, then those the engine's code lies in. A relative folder
/// depends on the current directory, which is never searched.
fn folders(variable: Option<&OsStr>, here: [Option<PathBuf>; 2]) -> Vec<PathBuf> {
    let listed = variable.map(std::env::split_paths).into_iter().flatten();
    let mut folders: Vec<PathBuf> = listed.chain(here.into_iter().flatten()).filter(|f| f.is_absolute()).collect();
    folders.dedup();
    folders
}

/// True when this process has more rights than the person who started it, who must not choose its code then.
fn elevated() -> bool {
    // SAFETY: only reads the state of the process, as the calls below.
    #[cfg(target_os = "linux")]
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return true;
    }
    // SAFETY: as above.
    let users = [unsafe { libc::getuid() }, unsafe { libc::geteuid() }];
    // SAFETY: as above.
    let groups = [unsafe { libc::getgid() }, unsafe { libc::getegid() }];
    users[0] != users[1] || groups[0] != groups[1]
}

/// The folder of the file that this code was loaded from: libmountainpass.so, where that is what it is in.
fn library_folder() -> Option<PathBuf> {
    let (inside, mut found) = (load as *const (), std::mem::MaybeUninit::<libc::Dl_info>::zeroed());
    // SAFETY: fills the record, or returns 0.
    let is_found = unsafe { libc::dladdr(inside.cast(), found.as_mut_ptr()) } != 0;
    // SAFETY: pointers, zero at first.
    let name = unsafe { found.assume_init() }.dli_fname;
    if !is_found || name.is_null() {
        return None;
    }
    // SAFETY: the path is the loader's and stays.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes())).to_owned();
    // A program is listed under whatever name it was started by; `current_exe` knows better.
    Some(path.parent().filter(|folder| folder.is_absolute())?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_directory_is_never_searched() {
        let here = [Some(PathBuf::from("/opt/lib")), Some(PathBuf::from("/opt/lib"))];
        let listed = OsStr::new("/a::.:b/c:/d");
        let expected = ["/a", "/d", "/opt/lib"].map(PathBuf::from);
        assert_eq!(folders(Some(listed), here.clone()), expected);
        assert_eq!(folders(None, here), expected[2..]);
        assert_eq!(folders(None, [None, Some(PathBuf::from("bin"))]), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_test_runs_with_the_rights_of_its_user() {
        assert!(!elevated());
    }
}
