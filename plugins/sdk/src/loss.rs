//! The two traits a backend author implements, and the words they speak.

use crate::{Declared, Error, Eval, Host, Matrix, Open, abi};
use std::ffi::CStr;

/// A family of losses: how one is opened.
pub trait Backend: 'static {
    /// The name users write in `backend = "..."`, with its C terminator: `c"quad"`.
    const NAME: &'static CStr;
    /// The version recorded with every result.
    const VERSION: &'static CStr;
    /// Every option that [`open`](Backend::open) knows, whatever the model, for the engine to tell and to resolve paths by.
    /// All of them or none: a backend that declares some is refused where it asks for another one.
    const OPTIONS: &'static [Declared] = &[];
    /// What [`open`](Backend::open) returns.
    type Loss: Loss;

    /// Opens one loss. Unknown models, devices and options are errors that name the nearest known one
    /// ([`Open::finish`] does it for options). The host is for this call; later calls bring theirs.
    fn open(host: Host<'_>, request: Open<'_>) -> Result<Self::Loss, Error>;
}

/// One opened loss function of `p` parameters.
///
/// Every method takes `&self` and a loss is `Sync`, so that no call can harm another one, whichever of them overlap. What a
/// loss changes as it goes, such as memory that it keeps between calls, is therefore in a `Mutex` or atomic; beside an
/// evaluation a lock that nobody else holds costs nothing.
///
/// ```compile_fail,E0277
/// use mountainpass_sdk::{Error, Eval, Info, Loss};
/// struct Counting { calls: std::cell::Cell<u64> } // AtomicU64 is right.
/// impl Loss for Counting {
///     fn info(&self) -> Info { Info::default() }
///     fn eval(&self, _: Eval<'_>) -> Result<(), Error> { self.calls.set(self.calls.get() + 1); Ok(()) }
/// }
/// ```
///
/// [`info`](Loss::info) and the lists are read once, when the loss has been opened; what they say must fit together.
pub trait Loss: Send + Sync + 'static {
    /// What it is and can do.
    fn info(&self) -> Info;

    /// Computes one batch. Everything asked for is written, or an error says why not; a row whose loss or
    /// derivative is not finite gets `row_status = MPASS_E_NUMERIC` and does not fail the others.
    fn eval(&self, eval: Eval<'_>) -> Result<(), Error>;

    /// The named blocks of theta, in order; empty when the loss has no such structure.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// The start of a search for a seed, `p` values (of [`Info::params`]); [`Error::unsupported`] when the loss prefers none.
    fn start(&self, _seed: u64) -> Result<Vec<f64>, Error> {
        Err(Error::unsupported("no initialiser"))
    }

    /// The box of a bounded function, `p` values a side.
    fn bounds(&self) -> Option<Bounds> {
        None
    }

    /// The names of the metrics on a split ("loss", "accuracy"); empty where the split has no samples.
    fn metrics(&self, _split: Split) -> Vec<String> {
        Vec::new()
    }

    /// The metrics of every row, in C order: `n` times as many as [`metrics`](Loss::metrics) named at first.
    fn eval_metrics(&self, _host: Host<'_>, _split: Split, _theta: Matrix<'_>, _out: &mut [f64]) -> Result<(), Error> {
        Err(Error::unsupported("no metrics"))
    }

    /// What leaves the whole objective, its regulariser included, unchanged.
    fn symmetries(&self) -> Vec<Symmetry> {
        Vec::new()
    }

    /// Hashes of model and data and the options in effect, for provenance and resume.
    fn identity(&self) -> Identity {
        Identity::default()
    }

    /// How many kinks a piecewise smooth loss has; [`Error::unsupported`] where it cannot tell. The other calls on kinks are
    /// as in `mpass_ext_kinks`; none of them is over chosen samples, and theta is f64.
    fn kinks(&self) -> Result<u64, Error> {
        Err(no_kinks())
    }

    /// [`eval`](Loss::eval) of the loss smoothed at width `eps`, which is above 0.
    fn eval_smoothed(&self, _eps: f64, _eval: Eval<'_>) -> Result<(), Error> {
        Err(no_kinks())
    }

    /// The kinks with |z| < `width` at one theta, by id.
    fn kinks_near(&self, _host: Host<'_>, _theta: &[f64], _width: f64) -> Result<Vec<Kink>, Error> {
        Err(no_kinks())
    }

    /// [`eval`](Loss::eval) of the loss with these slopes, by id, each once; with their figures.
    fn eval_linear(&self, _slopes: &[Slope], _eval: Eval<'_>, _figures: Figures<'_>) -> Result<(), Error> {
        Err(no_kinks())
    }

    /// The gradients by theta of z of these kinks in that loss, one after the other, `p` values each.
    fn kink_rows(&self, _host: Host<'_>, _theta: &[f64], _slopes: &[Slope], _out: &mut [f64]) -> Result<(), Error> {
        Err(no_kinks())
    }
}

fn no_kinks() -> Error {
    Error::unsupported("supplies no kinks")
}

/// A backend with losses of several kinds opens boxes of them.
impl Loss for Box<dyn Loss> {
    fn info(&self) -> Info {
        (**self).info()
    }

    fn eval(&self, eval: Eval<'_>) -> Result<(), Error> {
        (**self).eval(eval)
    }

    fn parameters(&self) -> Vec<Parameter> {
        (**self).parameters()
    }

    fn start(&self, seed: u64) -> Result<Vec<f64>, Error> {
        (**self).start(seed)
    }

    fn bounds(&self) -> Option<Bounds> {
        (**self).bounds()
    }

    fn metrics(&self, split: Split) -> Vec<String> {
        (**self).metrics(split)
    }

    fn eval_metrics(&self, host: Host<'_>, split: Split, theta: Matrix<'_>, out: &mut [f64]) -> Result<(), Error> {
        (**self).eval_metrics(host, split, theta, out)
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        (**self).symmetries()
    }

    fn identity(&self) -> Identity {
        (**self).identity()
    }

    fn kinks(&self) -> Result<u64, Error> {
        (**self).kinks()
    }

    fn eval_smoothed(&self, eps: f64, eval: Eval<'_>) -> Result<(), Error> {
        (**self).eval_smoothed(eps, eval)
    }

    fn kinks_near(&self, host: Host<'_>, theta: &[f64], width: f64) -> Result<Vec<Kink>, Error> {
        (**self).kinks_near(host, theta, width)
    }

    fn eval_linear(&self, slopes: &[Slope], eval: Eval<'_>, figures: Figures<'_>) -> Result<(), Error> {
        (**self).eval_linear(slopes, eval, figures)
    }

    fn kink_rows(&self, host: Host<'_>, theta: &[f64], slopes: &[Slope], out: &mut [f64]) -> Result<(), Error> {
        (**self).kink_rows(host, theta, slopes, out)
    }
}

/// What a loss is and can do: `mpass_loss_info`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Info {
    /// What it can do.
    pub caps: Caps,
    /// p, the length of theta.
    pub params: u64,
    /// The size of the data set; 0 means the loss has none.
    pub samples: u64,
    /// The number of rows per call that runs fastest; 0 = any.
    pub rows_best: u64,
    /// The largest number of rows per call; 0 = any.
    pub rows_max: u64,
    /// How theta may travel; one of them at least.
    pub dtypes: Dtypes,
    /// The largest change of a loss value when a call is repeated; 0 = let the engine measure.
    pub noise: f64,
}

/// What a loss can do; every flag is off until it is claimed. See `MPASS_CAP_*` for the exact promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// It has a gradient.
    pub grad: bool,
    /// It has Hessian-vector products.
    pub hvp: bool,
    /// The loss over chosen samples is the mean of theirs.
    pub minibatch: bool,
    /// Calls may overlap. A promise about answers: that they do no harm is seen to by [`Loss`].
    pub many: bool,
    /// The same row gives the same bits, whatever stands beside it and whoever computes.
    pub repeatable: bool,
    /// [`Cancel::fired`](crate::Cancel::fired) is asked at least every 100 ms.
    pub cancel: bool,
    /// A demand: it is evaluated on the thread that called the engine.
    pub caller_thread: bool,
    /// It is twice differentiable.
    pub smooth: bool,
    /// Samples see each other, so that the loss over some of them is no mean.
    pub joint: bool,
}

impl Caps {
    fn table(&mut self) -> [(&mut bool, u32); 9] {
        use abi::cap::*;
        [
            (&mut self.grad, GRAD),
            (&mut self.hvp, HVP),
            (&mut self.minibatch, MINIBATCH),
            (&mut self.many, MANY),
            (&mut self.repeatable, REPEATABLE),
            (&mut self.cancel, CANCEL),
            (&mut self.caller_thread, CALLER_THREAD),
            (&mut self.smooth, SMOOTH),
            (&mut self.joint, JOINT),
        ]
    }

    /// The `MPASS_CAP_*` bits.
    pub fn bits(mut self) -> u32 {
        self.table().iter().fold(0, |bits, (on, bit)| if **on { bits | bit } else { bits })
    }

    /// From `MPASS_CAP_*` bits; bits of later minors are ignored.
    pub fn from_bits(bits: u32) -> Caps {
        let mut caps = Caps::default();
        caps.table().into_iter().for_each(|(on, bit)| *on = bits & bit != 0);
        caps
    }
}

/// Element types of theta a loss accepts on the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dtypes {
    /// Single precision.
    pub f32: bool,
    /// Double precision.
    pub f64: bool,
}

/// A box `lower <= theta <= upper`, `p` values each.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// The least value of each coordinate.
    pub lower: Vec<f64>,
    /// The largest.
    pub upper: Vec<f64>,
}

/// One named block of theta, in C order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What people call it.
    pub name: String,
    /// One size per axis.
    pub shape: Vec<u64>,
    /// The place of its first element in theta.
    pub offset: u64,
}

/// A part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What the loss is taken over.
    Train,
    /// What it never sees.
    Test,
}

/// One generator family of the objective's symmetry group.
#[derive(Clone, Debug, PartialEq)]
pub struct Symmetry {
    /// What may be done to the blocks.
    pub kind: SymmetryKind,
    /// The offsets into theta of every block's entries; all blocks have the same length.
    pub blocks: Vec<Vec<u64>>,
}

/// What may be done to the blocks of a [`Symmetry`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SymmetryKind {
    /// The blocks may be permuted.
    Permutation,
    /// Every block may be negated by itself.
    Sign,
    /// The first `split` entries of a block may be multiplied by `a > 0` if the others are divided by it. With `split` the
    /// whole block, the loss is scale-invariant: only the block's direction counts.
    Scale {
        /// How many entries are multiplied, one at least.
        split: u64,
    },
    /// Every coordinate is periodic.
    Period(f64),
    /// Blocks are points, moved rigidly together.
    Rigid,
    /// The blocks may be permuted, and with them what stands behind the first `split` entries of each: rows of square
    /// matrices, an entry for every block, whose columns are permuted as the rows are (P M P^T).
    Conjugation {
        /// How many entries of a block are in no matrix.
        split: u64,
    },
    /// Blocks are points: the first `split` may be multiplied by any invertible matrix, one for all of them, if the others
    /// are by the inverse of its transpose. With `split` 0 all of them may be by any orthogonal one.
    Mixing {
        /// How many points are multiplied by the matrix itself; fewer than there are.
        split: u64,
    },
}

/// Which loss this is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 in hexadecimal, or empty.
    pub model_hash: String,
    /// SHA-256 in hexadecimal, or empty.
    pub data_hash: String,
    /// The options in effect, defaults included, as `key = value` lines.
    pub options: String,
    /// What whoever reads results should know of how it was opened, a sentence a line.
    pub notes: String,
}

/// A kink h = max(z, alpha z) of a piecewise smooth loss, at some theta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kink {
    /// Its operation, sample and element; stays.
    pub id: u64,
    /// What it bends by the sign of.
    pub z: f64,
    /// The slope where z < 0, below 1.
    pub alpha: f64,
    /// The derivative of the loss by h, every kink on the side of its z.
    pub delta: f64,
}

/// A kink made linear: h = t z, whatever the sign of z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The kink's.
    pub id: u64,
    /// Between alpha and 1, or one of them.
    pub t: f64,
}

/// Where the figures of linear kinks go, `n x slopes` each, if wanted.
#[derive(Default)]
pub struct Figures<'a> {
    /// z of each.
    pub z: Option<&'a mut [f64]>,
    /// The derivative of the loss by h of each.
    pub delta: Option<&'a mut [f64]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capability_bits_round_trip() {
        for bits in 0..256 {
            assert_eq!(Caps::from_bits(bits).bits(), bits);
        }
    }
}
