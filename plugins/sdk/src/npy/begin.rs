//! Where every reading of a file begins.

use super::elements::fits;
use super::fault::Fault;
use super::header::Header;
use super::source::Source;
use super::values::KNOWN;
use std::io::Read;

/// Reads the header, and looks whether the file is as long as it says.
pub fn begin<R: Read>(from: R, length: Option<u64>) -> Result<(Source<R>, Header), Fault> {
    let mut file = Source::new(from, length);
    let header = Header::read(&mut file)?;
    if !KNOWN.contains(&header.element()) {
        return Err(header.strange());
    }
    fits(&file, &header)?;
    Ok((file, header))
}
