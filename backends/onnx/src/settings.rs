//! The options of this backend's own.

use mountainpass_sdk::{Declared, Error, Kind, Open};

/// Beside those of every network.
pub(crate) const OPTIONS: [Declared; 7] = [
    Declared::new(c"device", Kind::Text, c"Where it is computed: cpu, or cuda:N for the NVIDIA device N.")
        .default(c"cpu"),
    Declared::new(c"threads", Kind::Integer, c"Threads of one session; workers have a session each.").default(c"1"),
    Declared::new(
        c"rows_per_run",
        Kind::Integer,
        c"Rows of an evaluation that a run takes at once, where the network can; above 1 values no longer repeat bit for bit in another batch.",
    )
    .default(c"1"),
    Declared::new(c"deterministic", Kind::Text, c"Whether kernels that repeat their bits are asked for.")
        .words(c"true false")
        .default(c"true"),
    Declared::new(c"tf32", Kind::Text, c"Whether an NVIDIA device may round f32 to 10 bits in products.")
        .words(c"true false")
        .default(c"false"),
    Declared::new(c"provider_library", Kind::Path, c"A library that brings the device's provider, as a plugin."),
    Declared::new(
        c"library",
        Kind::Path,
        c"The file of ONNX Runtime: ORT_DYLIB_PATH or what is installed unless given.",
    ),
];

/// The most rows of a run.
const ROWS_MAX: usize = 1024;

/// Where a graph is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    Cpu,
    Cuda(i32),
}

/// The options, read.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub device: Device,
    pub threads: usize,
    pub rows_per_run: usize,
    pub is_deterministic: bool,
    pub has_tf32: bool,
    pub provider_library: Option<String>,
    pub library: Option<String>,
}

impl Settings {
    /// Takes them out of a request.
    pub fn of(request: &mut Open<'_>) -> Result<Settings, Error> {
        let device = request.option("device").map_or(Ok(Device::Cpu), device)?;
        let threads = request.parsed("threads")?.unwrap_or(1);
        if !(1..=1024).contains(&threads) {
            return Err(Error::argument(format!("option threads: {threads}, expected 1 to 1024")));
        }
        let rows_per_run = request.parsed("rows_per_run")?.unwrap_or(1);
        if !(1..=ROWS_MAX).contains(&rows_per_run) {
            return Err(Error::argument(format!("option rows_per_run: {rows_per_run}, expected 1 to {ROWS_MAX}")));
        }
        let settings = Settings {
            device,
            threads,
            rows_per_run,
            is_deterministic: request.parsed("deterministic")?.unwrap_or(true),
            has_tf32: request.parsed("tf32")?.unwrap_or(false),
            provider_library: request.option("provider_library").map(str::to_owned),
            library: request.option("library").map(str::to_owned),
        };
        match settings {
            Settings { device: Device::Cpu, has_tf32: true, .. } => {
                Err(Error::argument("option tf32: the CPU has no such type"))
            }
            Settings { device: Device::Cpu, provider_library: Some(_), .. } => Err(Error::argument(
                "option provider_library: the CPU's provider is ONNX Runtime's own; say which device",
            )),
            settings => Ok(settings),
        }
    }

    /// What decides numbers, as `key = value` lines.
    pub fn lines(&self, version: &str) -> String {
        let device = match self.device {
            Device::Cpu => "cpu".into(),
            Device::Cuda(n) => format!("cuda:{n}"),
        };
        let Settings { threads, rows_per_run, is_deterministic, has_tf32, .. } = self;
        format!(
            "device = {device}\nthreads = {threads}\nrows_per_run = {rows_per_run}\ndeterministic = {is_deterministic}\ntf32 = {has_tf32}\n\
             onnxruntime = {version}\n"
        )
    }
}

fn device(text: &str) -> Result<Device, Error> {
    let wrong = || Error::argument(format!("option device: {text:?}, expected cpu, or cuda:N with a number N"));
    match text.split_once(':') {
        None if text == "cpu" => Ok(Device::Cpu),
        None if text == "cuda" => Ok(Device::Cuda(0)),
        Some(("cuda", n)) => n.parse().ok().filter(|n| *n >= 0).map(Device::Cuda).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}
