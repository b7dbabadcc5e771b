//! One `eval` as a test describes it.

#![forbid(unsafe_code)]

use super::gate::Gate;
use super::region::Fence;
use crate::run::Cancel;
use mountainpass_sdk::abi;

/// A call of `eval`: `Call::of(&theta)` asks for losses, the methods for more.
#[derive(Clone, Copy, Default)]
pub struct Call<'a> {
    /// `n x p` values, rounded to the element type they travel as.
    pub theta: &'a [f64],
    /// The chosen samples; `None` for all.
    pub ids: Option<&'a [u64]>,
    /// Whether gradients are wanted.
    pub grad: bool,
    /// Directions, `n x p`, where Hessian-vector products are wanted.
    pub dir: Option<&'a [f64]>,
    /// Theta as f32, even where f64 is offered.
    pub single: bool,
    /// Elements between the end of a row and the next one, in every matrix.
    pub gap: usize,
    /// [`Fence::Guard`]: every argument ends where a page ends, and inputs are on read-only pages.
    pub fence: Fence,
    /// The arguments are gone when the call has returned. Else they stay until the loss is closed.
    pub fleeting: bool,
    /// Hardly any memory is left for the time of the call.
    pub scarce: bool,
    /// Where the call waits for others at the last moment, so that they overlap.
    pub gate: Option<&'a Gate>,
    /// The token to poll; NULL without.
    pub cancel: Option<&'a Cancel>,
    /// The bytes of `mpass_eval` that exist, when they are not those of this checker's minor; a guard page stands behind.
    pub size: Option<usize>,
    /// Changes the record at the last moment: a call of a wrong shape.
    pub edit: Option<fn(&mut abi::Eval)>,
}

impl<'a> Call<'a> {
    /// The losses of `n x p` values.
    pub fn of(theta: &'a [f64]) -> Call<'a> {
        Call { theta, ..Call::default() }
    }

    /// And the gradients.
    pub fn grad(self) -> Call<'a> {
        Call { grad: true, ..self }
    }

    /// And the Hessian-vector products along directions, `n x p`.
    pub fn hvp(self, dir: &'a [f64]) -> Call<'a> {
        Call { dir: Some(dir), ..self }
    }

    /// Over these samples.
    pub fn ids(self, ids: &'a [u64]) -> Call<'a> {
        Call { ids: Some(ids), ..self }
    }

    /// With rows that many elements apart.
    pub fn gap(self, gap: usize) -> Call<'a> {
        Call { gap, ..self }
    }

    /// With guard pages behind every argument, and inputs read-only.
    pub fn walled(self) -> Call<'a> {
        Call { fence: Fence::Guard, ..self }
    }

    /// With nothing left of its arguments afterwards.
    pub fn fleeting(self) -> Call<'a> {
        Call { fleeting: true, ..self }
    }

    /// With a record of `mpass_eval` of another length.
    pub fn sized(self, size: usize) -> Call<'a> {
        Call { size: Some(size), ..self }
    }

    /// With a change to the record: a call of a wrong shape.
    pub fn edit(self, edit: fn(&mut abi::Eval)) -> Call<'a> {
        Call { edit: Some(edit), ..self }
    }

    /// With theta as f32.
    pub fn single(self) -> Call<'a> {
        Call { single: true, ..self }
    }

    /// With a token to poll.
    pub fn cancel(self, cancel: &'a Cancel) -> Call<'a> {
        Call { cancel: Some(cancel), ..self }
    }

    /// How the journal and messages call it, by the slot's name, `n` being its rows.
    pub fn title(&self, name: &str, n: usize) -> String {
        let rows = if n == 1 { "1 row".to_owned() } else { format!("{n} rows") };
        let ids = self.ids.map_or(String::new(), |ids| format!(", {} ids", ids.len()));
        let grad = if self.grad { ", grad" } else { "" };
        let hvp = if self.dir.is_some() { ", hvp" } else { "" };
        let single = if self.single { ", f32" } else { "" };
        let gap = if self.gap > 0 { format!(", rows {} apart", self.gap) } else { String::new() };
        format!("{name} ({rows}{ids}{grad}{hvp}{single}{gap})")
    }
}
