//! Installing: fetched by pip, known by its hash, unpacked beside its place and moved there whole.

use super::pinned::{Flavour, PYTHON, Wheel};
use super::place::{file, folder};
use mountainpass_sdk::Error;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The shared libraries of a wheel, all into one folder; Python's own module is left there.
const UNPACK: &str = "import sys, zipfile, os, shutil
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        base = os.path.basename(name)
        if '.so' in base and 'pybind' not in base:
            with wheel.open(name) as source, open(os.path.join(sys.argv[2], base), 'xb') as target:
                shutil.copyfileobj(source, target)
";

/// Puts the library into `into`, or into the cache folder, unless it is there; its file. Whoever does the same at the same
/// time waits. Needs python3 with pip, and the network.
pub fn install(flavour: Flavour, into: Option<&Path>) -> Result<PathBuf, Error> {
    let home =
        || folder(flavour).ok_or_else(|| Error::argument("there is no cache folder (HOME is not set): name one"));
    let place = into.map_or_else(home, |into| Ok(into.to_owned()))?;
    let library = file(&place);
    if library.exists() {
        return Ok(library);
    }
    let machine = std::env::consts::ARCH;
    let wheels = flavour.wheels(machine).filter(|_| cfg!(target_os = "linux")).ok_or_else(|| {
        Error::unsupported(format!("{} is not pinned for {machine} {}", flavour.package(), std::env::consts::OS))
    })?;
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |error: std::io::Error| Error::argument(format!("{what}: {error}"))
    };
    let beside = place.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(beside).map_err(failed(beside))?;
    let lock_file = beside.join(".onnxruntime.lock");
    let lock = File::create(&lock_file).map_err(failed(&lock_file))?;
    lock.lock().map_err(failed(&lock_file))?;
    if library.exists() {
        return Ok(library);
    }
    let fetched = tempfile::tempdir_in(beside).map_err(failed(beside))?;
    let (downloads, unpacked) = (fetched.path().join("wheels"), fetched.path().join("unpacked"));
    std::fs::create_dir(&unpacked).map_err(failed(&unpacked))?;
    for wheel in wheels {
        let file = download(wheel, machine, &downloads)?;
        check(wheel, &file).map_err(failed(&file))??;
        python(&["-c".as_ref(), UNPACK.as_ref(), file.as_os_str(), unpacked.as_os_str()], "unpack")?;
        std::fs::remove_file(&file).map_err(failed(&file))?;
    }
    // A folder that is there already (an empty one, or what is left of a part) keeps what it has.
    std::fs::create_dir_all(&place).map_err(failed(&place))?;
    let mut all: Vec<PathBuf> = listed(&unpacked).map_err(failed(&unpacked))?;
    // The library last: whoever sees it sees all.
    all.sort_by_key(|path| path.file_name() == library.file_name());
    for from in all {
        let to = place.join(from.file_name().unwrap_or_default());
        std::fs::rename(&from, &to).map_err(failed(&to))?;
    }
    match library.exists() {
        true => Ok(library),
        false => Err(Error::not_found(format!("{} is not in the packages", library.display()))),
    }
}

fn listed(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// The file of a wheel, by pip.
fn download(wheel: &Wheel, machine: &str, into: &Path) -> Result<PathBuf, Error> {
    let platforms = ["_2_28", "_2_27", "2014", "_2_17", "2010", "_2_12", "1", "_2_5"];
    let platforms = platforms.map(|version| format!("--platform=manylinux{version}_{machine}"));
    let python_version = format!("--python-version={PYTHON}");
    let named = format!("{}=={}", wheel.package, wheel.version);
    let mut arguments = vec!["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
    arguments.extend(["--only-binary=:all:", &python_version]);
    arguments.extend(platforms.iter().map(String::as_str));
    arguments.push("--dest");
    let mut all: Vec<&std::ffi::OsStr> = arguments.iter().map(|argument| (*argument).as_ref()).collect();
    all.extend([into.as_os_str(), named.as_ref()]);
    python(&all, &format!("fetch {named}"))?;
    let files = listed(into).map_err(|error| Error::argument(format!("{}: {error}", into.display())))?;
    let found = files.into_iter().next();
    found.ok_or_else(|| Error::not_found(format!("pip fetched no {named}")))
}

/// Runs python3; `what` it was to do is for the message.
fn python(arguments: &[&std::ffi::OsStr], what: &str) -> Result<(), Error> {
    let output = Command::new("python3").args(arguments).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::not_found("python3 is not installed: it fetches ONNX Runtime, by pip"),
        _ => Error::argument(format!("python3: {error}")),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(Error::not_found(format!("python3 could not {what}: {}", last.trim())))
}

/// Whether a file is the one that is pinned.
fn check(wheel: &Wheel, file: &Path) -> std::io::Result<Result<(), Error>> {
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(file)?, &mut Writer(&mut hash))?;
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let Wheel { package, version, sha256 } = wheel;
    Ok(match found == *sha256 {
        true => Ok(()),
        false => Err(Error::argument(format!("{package} {version} has the SHA-256 {found}, expected {sha256}"))),
    })
}

/// What is written is hashed.
struct Writer<'a>(&'a mut Sha256);

impl std::io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("some.whl");
        std::fs::write(&file, b"abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let wheel = Wheel { package: "some", version: "1", sha256 };
        assert_eq!(check(&wheel, &file).unwrap(), Ok(()));
        std::fs::write(&file, b"abd").unwrap();
        let text = check(&wheel, &file).unwrap().unwrap_err().text;
        assert!(text.starts_with("some 1 has the SHA-256 ") && text.ends_with(sha256), "{text}");
    }
}
