//! The elements of a .npy file, block by block from the file to where they stay.

use super::fault::Fault;
use super::header::Header;
use super::source::Source;
use crate::memory::{self, BLOCK};
use std::io::{self, Read, Write};

/// A number as a file holds it.
pub(super) trait Encoded: Copy {
    const WIDTH: usize;

    fn of(bytes: &[u8], big: bool) -> Self;

    /// Block by block, little-endian, so that no copy of all is made.
    fn write(values: &[Self], to: &mut impl Write) -> io::Result<()>;
}

/// Refuses a file that is not as long as its header says, where its length is known.
pub(super) fn fits(file: &Source<impl Read>, header: &Header) -> Result<(), Fault> {
    let (shape, needed) = (&header.shape, header.needed()?);
    match file.left {
        Some(left) if left < needed as u64 => Err(cut_off(shape, needed, left)),
        Some(left) if left > needed as u64 => Err(too_long(shape, needed, left)),
        _ => Ok(()),
    }
}

/// The elements behind the header as what `to` makes of them, in C order.
pub(super) fn elements<T: Encoded, U: Clone + Default>(
    file: &mut Source<impl Read>,
    header: &Header,
    to: impl Fn(T) -> U,
) -> Result<Vec<U>, Fault> {
    let needed = header.needed()?;
    let count = needed / T::WIDTH;
    let mut places = header.fortran.then(|| Places::new(&header.shape));
    let mut values = match (&places, file.left) {
        (Some(_), _) => memory::filled(U::default(), count)?,
        (None, Some(_)) => memory::room(count)?,
        // Nobody has said that the header can be believed.
        (None, None) => Vec::new(),
    };
    let mut block = vec![0; BLOCK.min(needed)];
    for start in (0..needed).step_by(BLOCK) {
        let size = BLOCK.min(needed - start);
        let full = file.fill(&mut block[..size])?;
        if full < size {
            return Err(cut_off(&header.shape, needed, (start + full) as u64));
        }
        let elements = block[..size].chunks_exact(T::WIDTH).map(|bytes| to(T::of(bytes, header.big)));
        match &mut places {
            Some(places) => elements.for_each(|element| values[places.next()] = element),
            None => {
                memory::extend(&mut values, size / T::WIDTH, count)?;
                values.extend(elements);
            }
        }
    }
    Ok(values)
}

/// The next elements of a file in its own order, behind the first `start`, as what `to` makes of them.
pub(super) fn next<T: Encoded, U>(
    file: &mut Source<impl Read>,
    header: &Header,
    start: usize,
    out: &mut [U],
    to: impl Fn(T) -> U,
) -> Result<(), Fault> {
    let mut block = vec![0; BLOCK.min(out.len() * T::WIDTH)];
    for (k, out) in out.chunks_mut((BLOCK / T::WIDTH).max(1)).enumerate() {
        let size = out.len() * T::WIDTH;
        let full = file.fill(&mut block[..size])?;
        if full < size {
            let there = start * T::WIDTH + k * BLOCK + full;
            return Err(cut_off(&header.shape, header.needed()?, there as u64));
        }
        let elements = block[..size].chunks_exact(T::WIDTH);
        out.iter_mut().zip(elements).for_each(|(out, bytes)| *out = to(T::of(bytes, header.big)));
    }
    Ok(())
}

/// Refuses what stands behind the elements. Whoever checks sums at the end of a file is thus brought there.
pub(super) fn end(file: &mut Source<impl Read>, header: &Header) -> Result<(), Fault> {
    let (mut more, mut block) = (0, [0; 4096]);
    loop {
        match file.fill(&mut block)? {
            0 if more == 0 => return Ok(()),
            0 => {
                return header.needed().and_then(|needed| Err(too_long(&header.shape, needed, needed as u64 + more)));
            }
            n => more += n as u64,
        }
    }
}

fn cut_off(shape: &[usize], needed: usize, there: u64) -> Fault {
    Fault::Content(format!("is cut off: shape {shape:?} needs {needed} bytes of data, there are {there}"))
}

fn too_long(shape: &[usize], needed: usize, there: u64) -> Fault {
    Fault::Content(format!("is too long: shape {shape:?} needs {needed} bytes of data, there are {there}"))
}

/// Where the elements of an array that has its first axis fastest stand with the last one fastest.
struct Places {
    /// Size, step and index of every axis.
    axes: Vec<[usize; 3]>,
    place: usize,
}

impl Places {
    fn new(shape: &[usize]) -> Places {
        let step = |axis: usize| shape[axis + 1..].iter().product();
        let axes = shape.iter().enumerate().map(|(axis, &size)| [size, step(axis), 0]).collect();
        Places { axes, place: 0 }
    }

    /// The place of the next element.
    fn next(&mut self) -> usize {
        let place = self.place;
        for [size, step, index] in &mut self.axes {
            *index += 1;
            self.place += *step;
            if index < size {
                break;
            }
            self.place -= *index * *step;
            *index = 0;
        }
        place
    }
}
