//! `mpass serve-loss`: the other side of `--isolate`, started by engines and never by hand.

use super::builtin;
use mountainpass::Result;
use mountainpass::loss::{Isolation, Limits, Registry, Service};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Backends in processes of their own, which are this very program.
pub fn isolation(limits: Limits) -> Result<Arc<Isolation>> {
    // The file may be replaced while it runs; on Linux this name still leads to the program that runs.
    let running = PathBuf::from("/proc/self/exe");
    let server = if running.exists() { Some(running) } else { std::env::current_exe().ok() };
    Isolation::new(server.unwrap_or_else(|| "mpass".into()), limits).map(Arc::new)
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
