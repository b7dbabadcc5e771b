//! Group `device`: what probe lists.

use crate::check::test::{Outcome, Random, Subject, Test, fail};
use mountainpass_sdk::abi::memory;

/// The group's part of the list.
pub const TESTS: &[Test] = &[Test::new(
    "device.list",
    "Probe lists devices with names and ends, and a device in host memory is among them.",
    "cheap; NULL ends the list",
    &["load.slots"],
    list,
)];

fn list(subject: &Subject, _: &mut Random) -> Outcome {
    let devices = subject.devices()?;
    for (index, device) in devices.iter().enumerate() {
        let name = device.name.clone().map_err(|flaw| fail(format!("a name of device {index}"), flaw))?;
        if name.trim().is_empty() {
            return Err(fail(format!("a name of device {index}"), format!("{name:?}")));
        }
        if !(memory::HOST..=memory::CUDA).contains(&device.memory) {
            return Err(fail(format!("a kind of memory of device {index}"), format!("memory {}", device.memory)));
        }
    }
    // Pinned memory is the host's, too.
    if devices.iter().all(|device| device.memory == memory::CUDA) {
        return Err(fail("a device in host memory", format!("{} devices, none of them there", devices.len())));
    }
    Ok(())
}
