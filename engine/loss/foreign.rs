//! Reading memory another module owns, a backend's or a C caller's: records of another size, texts, lists, and outputs between canaries.
//!
//! Everything here is copied before it is looked at, so no reference into a plugin's memory leaves this file. Faults
//! come back as the end of a sentence; the caller knows the backend and the slot.

use crate::machine::memory::{self, Shortage};
use mountainpass_sdk::abi;
use std::ffi::{c_char, c_void};

/// The longest text a backend may answer with; an unterminated one is cut off here rather than read for ever.
const LONGEST: usize = 1 << 20;

/// Copies a record by THE SIZE RULE: min(theirs, ours) bytes, the rest stays as in `zero`.
///
/// # Safety
/// `from` is NULL or points to a record whose first field is its `struct_size` and which is that large; `T` is one
/// of the sized records of [`abi`], so that any bytes a backend may write are a value of it.
pub(crate) unsafe fn record<T: Copy>(from: *const T, zero: T, name: &str) -> Result<T, String> {
    if from.is_null() {
        return Err(format!("{name} is NULL"));
    }
    // SAFETY: every sized record begins with `uint32_t struct_size`.
    let theirs = unsafe { from.cast::<u32>().read_unaligned() } as usize;
    if theirs < 2 * size_of::<u32>() {
        return Err(format!("struct_size of {name} is {theirs}: it must be sizeof({name})"));
    }
    // SAFETY: not NULL, and as large as it says.
    Ok(unsafe { abi::sized(from, zero) })
}

/// Copies a NUL-terminated UTF-8 text; `None` for NULL.
///
/// # Safety
/// `from` is NULL or points to NUL-terminated text.
pub(crate) unsafe fn text(from: *const c_char, name: &str) -> Result<Option<String>, String> {
    // SAFETY: forwarded.
    unsafe { text_within(from, name, LONGEST) }
}

/// The same for a text that makes no sense from `most` bytes on.
///
/// # Safety
/// As for [`text`], or `from` points to `most` readable bytes.
pub(crate) unsafe fn text_within(from: *const c_char, name: &str, most: usize) -> Result<Option<String>, String> {
    if from.is_null() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // SAFETY: THE OWNERSHIP RULE: all text is NUL-terminated; reading stops at the first NUL.
    while let byte @ 1.. = unsafe { from.wrapping_add(bytes.len()).read() } as u8 {
        bytes.push(byte);
        if bytes.len() == most {
            return Err(format!("{name} is not terminated within {most} bytes"));
        }
    }
    String::from_utf8(bytes).map(Some).map_err(|_| format!("{name} is not UTF-8"))
}

/// Copies `count` elements, of which there are at most `most`.
///
/// # Safety
/// `from` is NULL or points to `count` values of `T`.
pub(crate) unsafe fn list<T: Copy>(from: *const T, count: u64, most: u64, name: &str) -> Result<Vec<T>, String> {
    match count {
        0 => Ok(Vec::new()),
        _ if count > most => Err(format!("{name}: {count} of them where at most {most} make sense")),
        _ if from.is_null() => Err(format!("{name}: {count} of them at NULL")),
        // SAFETY: forwarded; unaligned reads ask nothing else of the pointer.
        _ => Ok((0..count as usize).map(|i| unsafe { from.wrapping_add(i).read_unaligned() }).collect()),
    }
}

/// Guard elements on either side of an output.
const GUARD: usize = 16;

/// An output a backend writes: memory of our own, kept between calls, with canaries round it.
pub(super) struct Output<T> {
    memory: Vec<T>,
    canary: T,
}

impl<T: Copy + PartialEq> Output<T> {
    /// An empty output; `canary` is a value no backend writes by chance.
    pub fn new(canary: T) -> Output<T> {
        Output { memory: Vec::new(), canary }
    }

    /// Room for `n` values, each of them `preset`. Allocates only when it never was this large.
    pub fn open(&mut self, n: usize, preset: T) -> Result<*mut T, Shortage> {
        self.memory.clear();
        memory::reserve(&mut self.memory, n.saturating_add(2 * GUARD))?;
        self.memory.resize(GUARD, self.canary);
        self.memory.resize(GUARD + n, preset);
        self.memory.resize(GUARD + n + GUARD, self.canary);
        Ok(self.memory[GUARD..].as_mut_ptr())
    }

    /// What was written, or which end was overrun.
    pub fn close(&self, name: &str) -> Result<&[T], String> {
        let n = self.memory.len() - 2 * GUARD;
        let (before, rest) = self.memory.split_at(GUARD);
        let (values, after) = rest.split_at(n);
        let intact = |guard: &[T]| guard.iter().all(|&value| value == self.canary);
        match (intact(before), intact(after)) {
            (true, true) => Ok(values),
            (false, _) => Err(format!("wrote before the start of {name}")),
            (_, false) => Err(format!("wrote past the end of {name} ({n} values)")),
        }
    }
}

/// The view of an `n x p` matrix on the host; an output not wanted is [`abi::View::NONE`].
pub(super) fn view(data: *mut c_void, n: usize, p: usize, dtype: u32) -> abi::View {
    let (rows, cols) = (n as u64, p as u64);
    abi::View { data, rows, cols, row_stride: cols, dtype, memory: abi::memory::HOST, device: 0, reserved: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_record_reads_as_zero_behind_its_end() {
        let mut theirs = abi::LossInfo { params: 3, samples: 9, ..abi::LossInfo::zeroed() };
        theirs.struct_size = 16; // struct_size, caps, params
        // SAFETY: a live record of at least its struct_size.
        let ours = unsafe { record(&raw const theirs, abi::LossInfo::zeroed(), "mpass_loss_info") }.unwrap();
        assert_eq!((ours.params, ours.samples), (3, 0));
        theirs.struct_size = 0;
        // SAFETY: as above.
        let error = unsafe { record(&raw const theirs, abi::LossInfo::zeroed(), "mpass_loss_info") }.err().unwrap();
        assert_eq!(error, "struct_size of mpass_loss_info is 0: it must be sizeof(mpass_loss_info)");
    }

    #[test]
    fn text_that_is_no_utf8_or_never_ends_is_named() {
        // SAFETY: NULL, terminated texts, and one that ends later than the limit.
        let name = |from: *const c_char| unsafe { text(from, "name") };
        assert_eq!(name(c"grün".as_ptr()), Ok(Some("grün".to_owned())));
        assert_eq!(name(std::ptr::null()), Ok(None));
        assert_eq!(name(c"gr\xFCn".as_ptr()), Err("name is not UTF-8".to_owned()));
        let endless = vec![b'a'; LONGEST + 1];
        assert!(name(endless.as_ptr().cast()).unwrap_err().contains("not terminated"));
    }

    #[test]
    fn an_overrun_names_the_side() {
        let mut output = Output::new(7_i32);
        for (place, sentence) in [(-1, "wrote before the start of loss"), (3, "wrote past the end of loss (3 values)")]
        {
            let start = output.open(3, 0).unwrap();
            // SAFETY: one element beside the values lies inside the guard.
            unsafe { start.wrapping_offset(place).write(1) };
            assert_eq!(output.close("loss").unwrap_err(), sentence);
        }
        output.open(3, 0).unwrap();
        assert_eq!(output.close("loss").unwrap(), [0, 0, 0]);
    }
}
