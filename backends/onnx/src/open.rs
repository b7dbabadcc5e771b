//! Opening: the library, then what a request names, then whether there is a kernel for all of it.

use crate::plan::Sessions;
use crate::runtime::runtime;
use crate::settings::{OPTIONS, Settings};
use mountainpass_mean::Prepared;
use mountainpass_sdk::{Backend, Declared, Error, Host, Loss, Open, joined};
use std::ffi::CStr;
use std::sync::Arc;

/// The backend; its losses are opened through [`mountainpass_sdk::table`] or [`Backend::open`].
pub struct Onnx;

const ALL: [Declared; 30] = joined(&[&mountainpass_network::OPTIONS, &OPTIONS]);

impl Backend for Onnx {
    const NAME: &'static CStr = c"onnx";
    const VERSION: &'static CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes())
    {
        Ok(version) => version,
        Err(_) => c"",
    };
    const OPTIONS: &'static [Declared] = &ALL;
    type Loss = Box<dyn Loss>;

    fn open(host: Host<'_>, mut request: Open<'_>) -> Result<Box<dyn Loss>, Error> {
        if request.device != 0 {
            let text = "its devices are named by the option device: cpu, cuda:N";
            return Err(Error::argument(format!("device {}: {text}", request.device)));
        }
        let settings = Arc::new(Settings::of(&mut request)?);
        let runtime = runtime(&settings)?;
        let (lines, asked) = (settings.lines(runtime.version()), settings.rows_per_run);
        let mut prepared = Prepared::new(host, request, Sessions { runtime, settings })?;
        let example = prepared.network().example()?;
        let named = |error: Error, who: &str| Error { text: format!("{who}: {}", error.text), ..error };
        example.check::<f32>().map_err(|error| named(error, prepared.who()))?;
        prepared.tell(&lines, alone(asked, prepared.network().rows_a_run()));
        if let Err(error) = example.check::<f64>() {
            prepared.only_single();
            prepared.tell("", Some(format!("computed in f32 only: {}", error.text)));
        }
        Ok(prepared.finished())
    }
}

/// What is said where a network does not take as many rows as were asked for.
fn alone(asked: usize, rows: usize) -> Option<String> {
    let text = "one row a run, not rows_per_run: an operator of it takes no axis of rows";
    (rows < asked).then(|| format!("{text} (a convolution whose image and kernel both depend on theta)"))
}
