//! `mpass_chain`: cells by their samples, for cycles and paths.

use super::abi;

/// Chains in one piece of memory, and a record of each.
pub(super) struct Chains {
    records: Vec<abi::Chain>,
    /// What the records point to; never changed again.
    _first: Vec<u64>,
    _samples: Vec<u32>,
}

impl Chains {
    /// The chains of lists of cells, each a list of samples.
    pub fn new<'a>(lists: impl IntoIterator<Item = &'a [Vec<u32>]>) -> Chains {
        let (mut first, mut samples, mut begins) = (Vec::new(), Vec::new(), Vec::new());
        for cells in lists {
            let (at, begin) = (first.len(), samples.len());
            begins.push((cells.len(), at, begin));
            for cell in cells {
                first.push((samples.len() - begin) as u64);
                samples.extend_from_slice(cell);
            }
            first.push((samples.len() - begin) as u64);
        }
        let record = |&(cells, at, begin): &(usize, usize, usize)| abi::Chain {
            n_cells: cells as u64,
            first: first[at..].as_ptr(),
            samples: samples[begin..].as_ptr(),
        };
        let records = begins.iter().map(record).collect();
        Chains { records, _first: first, _samples: samples }
    }

    /// The records, one for each list.
    pub fn records(&self) -> &[abi::Chain] {
        &self.records
    }
}
