//! Several rows in one run: their thetas stacked block by block, and what comes of each.

use super::programs::{MemoryOf, Scratch};
use super::slots::Laid;
use super::{Network, total};
use crate::batch::{Ask, Piece, Wanted};
use crate::executor::{Executor, Outcome};
use crate::real::Real;
use mountainpass_sdk::{Error, memory};

impl<E: Executor> Network<E> {
    /// One run of piece `t` for rows of which there are no more than it takes.
    pub(super) fn pass_together<T: Real>(
        &self,
        piece: Piece<'_, Laid<T>>,
        scratch: &mut MemoryOf<E, T>,
        rows: Vec<Ask<'_, T>>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Error> {
        let Scratch { memories, stacked: [thetas, directions] } = scratch;
        let (grad, hvp) = rows.first().map_or((false, false), |row| (row.out.grad.is_some(), row.out.hvp.is_some()));
        self.stack(&rows, |row| Some(row.theta), thetas)?;
        self.stack(&rows, |row| row.out.hvp.as_ref().map(|(direction, _)| *direction), directions)?;
        let wanted = Wanted::Derivatives { grad, hvp };
        let memory = self.run(piece, (wanted, self.rows), memories, (thetas, directions), stop)?;
        let losses = memory.output(0);
        let each = losses.len() / self.rows;
        for (k, Ask { out, sum, .. }) in rows.into_iter().enumerate() {
            *sum += total(&losses[k * each..(k + 1) * each]);
            self.derivatives(memory, k, 1.0 / piece.n as f64, out);
        }
        Ok(())
    }

    /// Vectors of rows as a run of several reads them: block by block, and in each row after row. Where there are fewer rows the last
    /// stands for those that are missing.
    fn stack<'a, T: Real>(
        &self,
        rows: &'a [Ask<'_, T>],
        vector: impl Fn(&'a Ask<'_, T>) -> Option<&'a [T]>,
        stacked: &mut Vec<T>,
    ) -> Result<(), Error> {
        let vectors = rows.iter().filter_map(vector).collect::<Vec<&[T]>>();
        let Some(last) = vectors.last() else { return Ok(()) };
        memory::grow(stacked, self.rows * last.len())?;
        for range in self.blocks.iter() {
            let to = &mut stacked[self.rows * range.start..self.rows * range.end];
            for (k, to) in to.chunks_exact_mut(range.len().max(1)).enumerate() {
                to.copy_from_slice(&vectors.get(k).unwrap_or(last)[range.clone()]);
            }
        }
        Ok(())
    }
}
