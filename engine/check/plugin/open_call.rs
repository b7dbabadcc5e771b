//! One `open` as a test describes it, and how it lies in memory.

use super::host::Host;
use super::region::{Fence, GuardedRegion};
use crate::check::verdict::Outcome;
use mountainpass_sdk::abi;
use std::ffi::c_char;
use std::sync::Arc;

/// A call of `open`: which loss, and how the request lies in memory.
#[derive(Clone)]
pub struct OpenCall {
    /// What the plugin is offered.
    pub host: Arc<Host>,
    /// NULL without.
    pub model: Option<String>,
    /// Keys and values.
    pub options: Vec<(String, String)>,
    /// An index as listed by probe.
    pub device: u32,
    /// [`Fence::Guard`]: on read-only pages, each record right before a page that is not there.
    pub fence: Fence,
    /// It is gone when `open` has returned. Else it stays until the loss is closed.
    pub fleeting: bool,
    /// The bytes of `mpass_open` that exist, when they are not those of this checker's minor.
    pub size: Option<usize>,
}

/// `mpass_open` and everything it leads to.
pub struct PackedCall {
    record: GuardedRegion,
    /// Arrays of pointers, then the texts they point to.
    texts: GuardedRegion,
}

impl PackedCall {
    /// As the request wants it to lie.
    pub fn new(request: &OpenCall) -> Outcome<PackedCall> {
        let keys = request.options.iter().map(|(key, _)| key);
        let values = request.options.iter().map(|(_, value)| value);
        let words: Vec<&String> = keys.chain(values).chain(&request.model).collect();
        // The pointers first: they are aligned, and the last text ends at the guard page but for the rounding.
        let pointers = size_of::<*const c_char>() * words.len();
        let len = pointers + words.iter().map(|word| word.len() + 1).sum::<usize>();
        let mut texts = GuardedRegion::new(len.next_multiple_of(align_of::<*const c_char>()), 0, request.fence)?;
        texts.bytes_mut().fill(0);
        let (mut at, mut places) = (pointers, Vec::new());
        for word in &words {
            texts.bytes_mut()[at..at + word.len()].copy_from_slice(word.as_bytes());
            places.push(texts.start().wrapping_add(at).cast_const().cast::<c_char>());
            at += word.len() + 1;
        }
        let lists = texts.start().cast::<*const c_char>();
        // SAFETY: room for that many pointers, at the aligned start of the region.
        unsafe { std::ptr::copy_nonoverlapping(places.as_ptr(), lists, places.len()) };
        let n = request.options.len();
        let record = abi::Open {
            device: request.device,
            n_options: n as u32,
            model: request.model.as_ref().and_then(|_| places.last().copied()).unwrap_or(std::ptr::null()),
            keys: lists.cast_const(),
            values: lists.wrapping_add(n).cast_const(),
            ..abi::Open::zeroed()
        };
        let record = GuardedRegion::record(&record, request.size.unwrap_or(abi::Open::SIZE as usize), request.fence)?;
        Ok(match request.fence {
            Fence::Room => PackedCall { record, texts },
            Fence::Guard => PackedCall { record: record.read_only(), texts: texts.read_only() },
        })
    }

    /// What `open` is given.
    pub fn record(&self) -> *const abi::Open {
        self.record.start().cast_const().cast()
    }

    /// Takes it away for good; see [`GuardedRegion::bury`].
    pub fn bury(self) {
        self.record.bury();
        self.texts.bury();
    }
}
