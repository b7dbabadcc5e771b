//! `mpass serve-loss`: the other side of `--isolate`, started by engines and never by hand.

use super::builtin;
use mountainpass::loss::{Isolation, Limits, Registry, Service};
use mountainpass::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Backends in processes of their own, which are this very program.
pub fn isolation(limits: Limits) -> Result<Arc<Isolation>> {
    // The file may be replaced while it runs; on Linux this name still leads to the program that runs.
    let running = PathBuf::from("/proc/self/exe");
    let server = if running.exists() { Some(running) } else { std::env::current_exe().ok() };
    Isolation::new(server.unwrap_or_else(|| "mpass".into()), limits).map(Arc::new)
}

/// Whether and how a command isolates the backend.
#[derive(clap::Args)]
pub struct Isolate {
    /// Runs the backend in a process of its own: where it crashes, hangs or eats the memory, the row is marked (Linux)
    #[arg(long)]
    isolate: bool,
    /// The longest call of an isolated backend, in seconds [default: 60]
    #[arg(long, value_name = "S", requires = "isolate")]
    isolate_seconds: Option<f64>,
    /// The memory of an isolated backend, in MiB [default: the machine's]
    #[arg(long, value_name = "MIB", requires = "isolate")]
    isolate_memory: Option<u64>,
}

impl Isolate {
    /// What was asked for; this very program serves it.
    pub fn asked(&self) -> Result<Option<Arc<Isolation>>> {
        if !self.isolate {
            return Ok(None);
        }
        let mut limits = Limits::default();
        if let Some(seconds) = self.isolate_seconds {
            let call = Duration::try_from_secs_f64(seconds).ok().filter(|call| !call.is_zero());
            limits.call = call
                .ok_or_else(|| Error::Argument(format!("--isolate-seconds {seconds}: a positive number is needed")))?;
        }
        if let Some(mib) = self.isolate_memory {
            limits.memory = mib.saturating_mul(1 << 20);
        }
        isolation(limits).map(Some)
    }
}

#[derive(clap::Args)]
pub struct Serve {
    /// The plugin file whose backend is served
    #[arg(long, value_name = "FILE", required_unless_present = "backend", conflicts_with = "backend")]
    plugin: Option<PathBuf>,
    /// The linked backend that is served
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Worker threads
    #[arg(long, value_name = "N")]
    threads: usize,
    /// Bytes that this process may allocate
    #[arg(long, value_name = "BYTES")]
    memory: u64,
}

impl Serve {
    /// Serves until the engine ends this process, or is gone.
    pub fn go(self) -> Result<ExitCode> {
        let Serve { plugin, backend, threads, memory } = self;
        let load = |log| {
            let (registry, loaded) = builtin::fill(Registry::with_log(log), plugin.as_slice())?;
            Ok((registry, loaded.into_iter().next().or(backend).unwrap_or_default()))
        };
        match (Service { threads, memory }).run(load)? {}
    }
}
