//! Reading what callers hand in: handles, texts, option structs, matrices. Everything is checked here, and copied
//! before anything is computed from it; faults name the argument.

use crate::error::{Error, Result};
use crate::loss::foreign;
use mountainpass_sdk::abi::{View, dtype, memory};
use std::ffi::c_char;

/// More bytes than any struct of options will ever have; a larger `struct_size` was never stamped.
const LARGEST: usize = 4096;

/// A handle that must be there.
///
/// # Safety
/// `handle` is NULL or live for the call.
pub(super) unsafe fn handle<'a, T>(handle: *const T, what: &str) -> Result<&'a T> {
    // SAFETY: forwarded from the caller.
    unsafe { handle.as_ref() }.ok_or_else(|| Error::Argument(format!("{what} is NULL")))
}

/// An out-parameter that must be there; written only once nothing can fail any more.
pub(super) fn out_pointer<T>(out: *mut T, what: &str) -> Result<*mut T> {
    if out.is_null() { Err(Error::Argument(format!("{what} is NULL"))) } else { Ok(out) }
}

/// A text that must be there.
///
/// # Safety
/// `from` is NULL or NUL-terminated.
pub(super) unsafe fn text(from: *const c_char, what: &str) -> Result<String> {
    // SAFETY: forwarded from the caller.
    unsafe { optional_text(from, what) }?.ok_or_else(|| Error::Argument(format!("{what} is NULL")))
}

/// A text that may be NULL.
///
/// # Safety
/// As for [`text`].
pub(super) unsafe fn optional_text(from: *const c_char, what: &str) -> Result<Option<String>> {
    // SAFETY: forwarded from the caller.
    unsafe { foreign::text(from, what) }.map_err(Error::Argument)
}

/// Options by THE SIZE RULE; all defaults for NULL. What lies behind the fields this library knows must be zero: it is
/// an option it cannot honour.
///
/// # Safety
/// `from` is NULL or as large as its `struct_size`, its first field, says.
pub(super) unsafe fn options<T: Copy>(from: *const T, defaults: T, name: &str) -> Result<T> {
    if from.is_null() {
        return Ok(defaults);
    }
    // SAFETY: every struct of options begins with `uint32_t struct_size`.
    let theirs = unsafe { from.cast::<u32>().read_unaligned() } as usize;
    if theirs > LARGEST {
        return Err(Error::Argument(format!("struct_size of {name} is {theirs}: it must be sizeof({name})")));
    }
    // SAFETY: the caller vouches for `theirs` bytes.
    let unknown = (size_of::<T>()..theirs).any(|at| unsafe { from.cast::<u8>().wrapping_add(at).read() } != 0);
    if unknown {
        let text = format!(
            "{name} has {theirs} bytes of which this library knows {}, and the rest is not zero: it asks for something \
             that needs a newer library",
            size_of::<T>()
        );
        return Err(Error::Unsupported { backend: "libmountainpass".into(), text });
    }
    // SAFETY: forwarded from the caller; option structs are plain data.
    unsafe { foreign::record(from, defaults, name) }.map_err(Error::Argument)
}

/// Refuses flags that this library does not know.
pub(super) fn unknown_flags(flags: u32, known: u32, name: &str) -> Result<()> {
    if flags & !known == 0 {
        return Ok(());
    }
    let known = if known == 0 { "none".to_owned() } else { format!("the bits of {known}") };
    let text = format!("{name}.flags is {flags}: this library knows {known}");
    Err(Error::Unsupported { backend: "libmountainpass".into(), text })
}

/// Checks that a buffer for one value each is of the right length.
pub(super) fn check_length<T>(buffer: *mut T, count: u64, needed: usize, name: &str) -> Result<*mut T> {
    if count != needed as u64 {
        return Err(Error::Argument(format!("{name} has room for {count} values where {needed} are needed")));
    }
    out_pointer(buffer, name)
}

/// One of a handle's own records, to be handed out.
pub(super) fn record<T>(records: &[T], index: u64, what: &str) -> Result<*const T> {
    let found = usize::try_from(index).ok().and_then(|index| records.get(index));
    found
        .map(std::ptr::from_ref)
        .ok_or_else(|| Error::Argument(format!("there is no {what} {index} of {}", records.len())))
}

/// The shape of a matrix, checked: rows, columns, stride in elements, bytes of an element.
fn layout(view: &View, name: &str) -> Result<(usize, usize, usize)> {
    if view.memory != memory::HOST && view.memory != memory::HOST_PINNED {
        let text = format!("{name} is in memory of kind {}: only host memory is supported", view.memory);
        return Err(Error::Unsupported { backend: "mpass_loss_eval".into(), text });
    }
    let wrong = |text: String| Err(Error::Argument(format!("{name}: {text}")));
    if view.reserved != 0 {
        return wrong(format!("reserved is {}, and must be 0", view.reserved));
    }
    if view.row_stride < view.cols {
        return wrong(format!("row_stride is {}, below cols, which is {}", view.row_stride, view.cols));
    }
    match view.rows.checked_mul(view.row_stride) {
        Some(elements) if elements <= isize::MAX as u64 / 8 => {}
        _ => return wrong(format!("{} rows of {} are more than any memory holds", view.rows, view.row_stride)),
    }
    if view.data.is_null() {
        return wrong("data is NULL".into());
    }
    Ok((view.rows as usize, view.cols as usize, view.row_stride as usize))
}

/// Appends the rows of a matrix of f32 or f64 to `to`.
///
/// # Safety
/// The view is one its filler vouches for.
pub(super) unsafe fn read_rows(view: &View, name: &str, to: &mut Vec<f64>) -> Result<()> {
    let (rows, cols, stride) = layout(view, name)?;
    for row in 0..rows {
        let places = row * stride..row * stride + cols;
        match view.dtype {
            // SAFETY: forwarded: one of the view's elements.
            dtype::F64 => to.extend(places.map(|i| unsafe { element::<f64>(view, i) })),
            // SAFETY: as above.
            dtype::F32 => to.extend(places.map(|i| f64::from(unsafe { element::<f32>(view, i) }))),
            _ => return Err(element_type(name, view.dtype)),
        }
    }
    Ok(())
}

/// Element `i` of a view, wherever it lies.
///
/// # Safety
/// There is one of this type.
unsafe fn element<T: Copy>(view: &View, i: usize) -> T {
    // SAFETY: forwarded; unaligned reads ask nothing else of the pointer.
    unsafe { view.data.cast::<T>().wrapping_add(i).read_unaligned() }
}

/// Checks that an output is a matrix of f32 or f64 of this shape.
pub(super) fn check_output(view: &View, rows: usize, cols: usize, name: &str) -> Result<()> {
    let (n, p, _) = layout(view, name)?;
    if (n, p) != (rows, cols) {
        return Err(Error::Argument(format!("{name} is {n} x {p} where {rows} x {cols} is needed")));
    }
    match view.dtype {
        dtype::F32 | dtype::F64 => Ok(()),
        other => Err(element_type(name, other)),
    }
}

/// Writes rows to an output that [`check_output`] has passed.
///
/// # Safety
/// As for [`read_rows`]; the memory is the caller's to write.
pub(super) unsafe fn write_rows(view: &View, values: &[f64]) {
    let (cols, stride) = (view.cols as usize, view.row_stride as usize);
    for (row, values) in values.chunks_exact(cols).enumerate() {
        for (i, &value) in values.iter().enumerate() {
            let at = row * stride + i;
            match view.dtype {
                // SAFETY: forwarded from the caller.
                dtype::F32 => unsafe { view.data.cast::<f32>().wrapping_add(at).write_unaligned(value as f32) },
                // SAFETY: as above.
                _ => unsafe { view.data.cast::<f64>().wrapping_add(at).write_unaligned(value) },
            }
        }
    }
}

/// Sample ids, 1 x m; `None` for NULL data.
///
/// # Safety
/// As for [`read_rows`].
pub(super) unsafe fn ids(view: &View, name: &str) -> Result<Option<Vec<u64>>> {
    if view.data.is_null() {
        return Ok(None);
    }
    let (rows, cols, _) = layout(view, name)?;
    if rows != 1 || view.dtype != dtype::U64 {
        let text = format!("{name} is {rows} x {cols} of element type {}: 1 x m of MPASS_U64 is needed", view.dtype);
        return Err(Error::Argument(text));
    }
    // SAFETY: forwarded from the caller.
    Ok(Some((0..cols).map(|i| unsafe { element(view, i) }).collect()))
}

fn element_type(name: &str, found: u32) -> Error {
    Error::Argument(format!("{name} has element type {found}: MPASS_F64 or MPASS_F32 is needed"))
}
