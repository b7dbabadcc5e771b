//! A backend that an engine knows, as a record.

use super::abi::BackendInfo;
use super::hooks::c_text;
use crate::loss::KnownBackend;
use mountainpass_sdk::abi::Device;
use std::ffi::CString;

/// One backend and what its record points to; boxed by its engine and never changed again.
pub struct Listed {
    pub(super) record: BackendInfo,
    _texts: Vec<CString>,
    _devices: Vec<Device>,
    _list: Vec<*const Device>,
}

// SAFETY: the pointers lead to the texts and lists beside them, which nobody changes.
unsafe impl Send for Listed {}

impl Listed {
    pub(super) fn new(known: &KnownBackend, found: &[crate::loss::Device]) -> Listed {
        let file = known.file.as_ref().map(|file| c_text(&file.to_string_lossy()));
        let (name, version) = (c_text(&known.name), c_text(&known.version));
        let names: Vec<CString> = found.iter().map(|device| c_text(&device.name)).collect();
        let device = |(device, name): (&crate::loss::Device, &CString)| Device {
            struct_size: Device::SIZE,
            memory: device.memory,
            name: name.as_ptr(),
            memory_bytes: device.memory_bytes,
        };
        // A text and a vector keep their memory when they move.
        let devices: Vec<Device> = found.iter().zip(&names).map(device).collect();
        let list: Vec<*const Device> = devices.iter().map(std::ptr::from_ref).collect();
        let record = BackendInfo {
            struct_size: BackendInfo::SIZE,
            n_devices: devices.len() as u32,
            name: name.as_ptr(),
            version: version.as_ptr(),
            file: file.as_ref().map_or(std::ptr::null(), |file| file.as_ptr()),
            devices: list.as_ptr(),
        };
        let texts = [name, version].into_iter().chain(file).chain(names).collect();
        Listed { record, _texts: texts, _devices: devices, _list: list }
    }
}
