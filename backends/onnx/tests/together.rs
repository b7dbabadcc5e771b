//! One loss called by several threads at once.

mod library;
#[path = "../../faer/tests/together/mod.rs"]
mod together;

use library::library;
use mountainpass_onnx::Onnx;

#[test]
fn calls_of_several_threads_say_what_each_says_alone() {
    let Some(library) = library() else { return };
    let options = [("data", "digits"), ("limit", "300"), ("l1", "1e-4"), ("library", library.as_str())];
    for spec in ["mlp:64-8-10:relu", "cnn:8x8x1-3-4-10:relu"] {
        together::calls_at_once_say_what_each_says_alone::<Onnx>(spec, &options);
    }
}
