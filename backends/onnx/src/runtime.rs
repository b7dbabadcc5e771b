//! The library, loaded once for as long as the process lives: ONNX Runtime cannot be unloaded.

use crate::library;
use crate::raw::{self, Unfit};
use crate::settings::{Device, Settings};
use mountainpass_sdk::Error;
use ort::environment::Environment;
use ort::ep::{self, ExecutionProviderDispatch};
use ort::session::Session;
use ort::session::builder::{BuilderResult, GraphOptimizationLevel, SessionBuilder};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The loaded library.
pub(crate) struct Runtime {
    environment: Environment,
    path: PathBuf,
    version: String,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// One loads at a time; what is held are the libraries of providers that are known already.
static LOADING: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The library, loaded if it is not.
pub(crate) fn runtime(settings: &Settings) -> Result<&'static Runtime, Error> {
    let mut providers = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    let is_gpu = settings.device != Device::Cpu;
    let runtime = match RUNTIME.get() {
        Some(runtime) => match &settings.library {
            // A second one cannot be loaded: to go on with the first would be to compute with another than was asked for.
            Some(asked) if !is_same(Path::new(asked), &runtime.path) => {
                return Err(Error::argument(format!(
                    "option library: this process has loaded {} already, and can have one only",
                    runtime.path.display()
                )));
            }
            _ => runtime,
        },
        None => {
            let loaded = load(&library::find(settings.library.as_deref(), is_gpu), is_gpu)?;
            RUNTIME.get_or_init(|| loaded)
        }
    };
    if let Some(provider) = settings.provider_library.as_ref().filter(|path| !providers.contains(path)) {
        let registered = runtime.environment.register_ep_library(provider.as_str(), provider);
        registered.map_err(|error| Error::argument(format!("option provider_library: {provider}: {error}")))?;
        providers.push(provider.clone());
    }
    Ok(runtime)
}

fn is_same(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn load(path: &Path, is_gpu: bool) -> Result<Runtime, Error> {
    let (command, shown) = (library::command(is_gpu), path.display());
    let version = raw::version(path).map_err(|unfit| match unfit {
        Unfit::Missing(reason) => Error::not_found(format!(
            "ONNX Runtime is not at {shown}: {reason}. Install it: {command}; or name its file by the option library"
        )),
        Unfit::Other => {
            Error::argument(format!("{shown} is a library, but not that of ONNX Runtime: {command} installs it"))
        }
    })?;
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()).unwrap_or(0);
    if minor < ort::MINOR_VERSION {
        let text = format!("{shown} is ONNX Runtime {version}, which is too old: {command} installs");
        return Err(Error::unsupported(format!("{text} {}", library::VERSION)));
    }
    // It would open a database of events in the user's cache folder, with a thread to send them, before anyone can say no.
    let is_silent = std::env::var_os("ORT_DISABLE_TELEMETRY").is_some_and(|value| value == "1");
    if minor >= library::REPORTING && !is_silent {
        return Err(Error::unsupported(format!(
            "{shown} is ONNX Runtime {version}, which reports its use to its maker: set ORT_DISABLE_TELEMETRY=1 in the \
             environment; or {command} installs {}, which does not",
            library::VERSION
        )));
    }
    let failed = |error: &dyn std::fmt::Display| Error::argument(format!("{shown}: {error}"));
    let loaded = ort::init_from(path).map_err(|error| failed(&error))?;
    let environment = loaded.with_name("mountainpass").with_telemetry(false).build().map_err(|error| failed(&error))?;
    environment.set_log_level(ort::logging::LogLevel::Fatal);
    if is_gpu {
        preload(path);
    }
    Ok(Runtime { environment, path: path.to_owned(), version })
}

/// Loads what lies beside the library of CUDA's libraries. What does not is the system's; what is missing there the provider
/// names itself.
fn preload(library: &Path) {
    let beside = library.parent().filter(|folder| folder.join("libcudart.so.13").exists());
    // An error says that one of them is missing, which need not be wanted.
    let _ = ep::cuda::preload_dylibs(beside, beside.filter(|folder| folder.join("libcudnn.so.9").exists()));
}

impl Runtime {
    /// The version of the library.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A session for a model in memory.
    pub fn session(&self, model: &[u8], settings: &Settings, is_double: bool) -> ort::Result<Session> {
        let builder = self.builder(settings)?;
        let builder = plain(builder.with_optimization_level(GraphOptimizationLevel::Level3))?;
        // It keeps a factor as an attribute, which is f32.
        let rounding = if is_double { "MatMulScaleFusion" } else { "" };
        plain(builder.with_disabled_optimizers(rounding))?.commit_from_memory(model)
    }

    /// Whether there is a kernel for every operator of a model.
    pub fn check(&self, model: &[u8], settings: &Settings) -> ort::Result<()> {
        let builder = plain(self.builder(settings)?.with_optimization_level(GraphOptimizationLevel::Disable))?;
        plain(builder.with_disabled_optimizers("ConstantFolding"))?.commit_from_memory(model).map(|_| ())
    }

    fn builder(&self, settings: &Settings) -> ort::Result<SessionBuilder> {
        let builder = Session::builder(&self.environment)?;
        let builder = plain(builder.with_log_level(ort::logging::LogLevel::Fatal))?;
        let builder = plain(builder.with_intra_threads(settings.threads))?;
        let builder = plain(builder.with_inter_threads(1))?;
        // Whoever waits for another session's worker leaves it the core.
        let builder = plain(builder.with_intra_op_spinning(false))?;
        let builder = plain(builder.with_deterministic_compute(settings.is_deterministic))?;
        match (settings.device, &settings.provider_library) {
            (Device::Cuda(n), Some(_)) => {
                let gpu =
                    |device: &ort::device::Device<'_>| device.hardware_device().ty() == ort::memory::DeviceType::GPU;
                let device = self.environment.devices().filter(gpu).nth(n as usize);
                let device = device.ok_or_else(|| ort::Error::new(format!("its provider knows no device {n}")))?;
                plain(builder.with_devices([device], None))
            }
            (device, _) => plain(builder.with_execution_providers([provider(device, settings)])),
        }
    }
}

fn plain(built: BuilderResult) -> ort::Result<SessionBuilder> {
    built.map_err(|error| ort::Error::new(error.message()))
}

/// What computes on a device. A provider that cannot is an error, never silently the CPU.
fn provider(device: Device, settings: &Settings) -> ExecutionProviderDispatch {
    match device {
        Device::Cpu => ep::CPU::default().build().error_on_failure(),
        Device::Cuda(n) => {
            let cuda = ep::CUDA::default().with_device_id(n).with_tf32(settings.has_tf32);
            // The search for the fastest algorithm would make bits a matter of luck.
            let search = ep::cuda::ConvAlgorithmSearch::Heuristic;
            cuda.with_conv_algorithm_search(search).build().error_on_failure()
        }
    }
}
