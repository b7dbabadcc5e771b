//! ONNX Runtime for tests: what `mpass onnxruntime install` fetches, once into the target folder.

use mountainpass_onnx::library::{Flavour, install};
use std::path::Path;

/// The file, as an option's value. `None` where MPASS_SKIP_ONNXRUNTIME=1 says that a test is skipped, which is printed.
pub fn library() -> Option<String> {
    if std::env::var_os("MPASS_SKIP_ONNXRUNTIME").is_some_and(|value| value == "1") {
        eprintln!("skipped: MPASS_SKIP_ONNXRUNTIME=1");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnxruntime");
    let file = install(Flavour::Cpu, Some(&folder)).unwrap_or_else(|error| {
        let text = "is wanted by this test. python3 with pip fetches it: apt-get install python3-pip";
        panic!("ONNX Runtime {text}; MPASS_SKIP_ONNXRUNTIME=1 skips it ({error})")
    });
    Some(file.to_str().unwrap().to_owned())
}
