//! A .npy file read piece by piece, for who needs no more of it at once.

use super::begin::begin;
use super::elements::end;
use super::fault::Fault;
use super::header::Header;
use super::source::Source;
use super::values::read_next;
use std::io::Read;

/// A file whose elements are read in its own order.
pub struct Stream<R> {
    file: Source<R>,
    header: Header,
    /// Elements that were read.
    read: usize,
}

impl<R: Read> Stream<R> {
    /// Begins a file of `length` bytes, if that is known.
    pub fn new(file: R, length: Option<u64>) -> Result<Stream<R>, Fault> {
        let (file, header) = begin(file, length)?;
        Ok(Stream { file, header, read: 0 })
    }

    /// One size per axis.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Whether the file's order is C order.
    pub fn is_in_order(&self) -> bool {
        !self.header.fortran
    }

    /// The next elements as f64; behind the last of all the file must end.
    pub fn fill(&mut self, out: &mut [f64]) -> Result<(), Fault> {
        read_next(&mut self.file, &self.header, self.read, out)?;
        self.read += out.len();
        match self.read == self.header.shape.iter().product() {
            true => end(&mut self.file, &self.header),
            false => Ok(()),
        }
    }
}
