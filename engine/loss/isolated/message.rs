//! What an engine and a server say to each other: the calls, how they are answered, and where the numbers of a batch
//! lie. What is no number travels as JSON (`told.rs`), data sets as bytes behind it (`packed.rs`). Finite numbers
//! survive JSON bit for bit; those that may be NaN travel as words.

#![forbid(unsafe_code)]

/// What is asked; the first word of a request's head. The further words are the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Call {
    /// The version of the server's program; before anything foreign is loaded.
    Hello,
    /// [`Loaded`](super::told::Loaded).
    Load,
    /// The devices: name, kind of memory, size.
    Devices,
    /// The declared options: [`ToldOption`](super::told::ToldOption).
    Options,
    /// The length of a packed request, which fills the payload; [`ToldInfo`](super::told::ToldInfo).
    Open,
    /// Rows, sample ids or [`ALL`], flags; both payloads by [`BatchShape`].
    Eval,
    /// Seed; the answer's p words.
    Start,
    /// Split, rows, columns of the answer; n x p words, n x columns back.
    Metrics,
    Bounds,
    Parameters,
    /// Split.
    MetricNames,
    Symmetries,
    Identity,
    /// How many there are.
    Kinks,
    /// As [`Eval`](Call::Eval), and the width.
    Smoothed,
    /// The width; p words, and [`ToldKink`](super::told::ToldKink) back.
    Near,
    /// As [`Eval`](Call::Eval), and how many slopes; both payloads by [`BatchShape`].
    Linear,
    /// How many slopes; theta, ids and slopes, and n x p words back.
    KinkRows,
    /// The next piece of a text longer than the payload.
    More,
    Close,
}

impl Call {
    /// The call of a word.
    pub fn of(word: u64) -> Option<Call> {
        use Call::*;
        let all = [
            Hello,
            Load,
            Devices,
            Options,
            Open,
            Eval,
            Start,
            Metrics,
            Bounds,
            Parameters,
            MetricNames,
            Symmetries,
            Identity,
            Kinks,
            Smoothed,
            Near,
            Linear,
            KinkRows,
            More,
            Close,
        ];
        all.into_iter().find(|call| *call as u64 == word)
    }

    /// The slot of the contract that messages name.
    pub fn slot(self) -> &'static str {
        match self {
            Call::Hello | Call::Load | Call::More => "load",
            Call::Devices => "probe",
            Call::Options => "options",
            Call::Open => "open",
            Call::Eval => "eval",
            Call::Start => "start",
            Call::Metrics | Call::MetricNames => "metrics",
            Call::Bounds => "box",
            Call::Parameters => "parameters",
            Call::Symmetries => "symmetry",
            Call::Identity => "identity",
            Call::Kinks => "kinks.count",
            Call::Smoothed => "kinks.eval_smoothed",
            Call::Near => "kinks.near",
            Call::Linear => "kinks.eval_linear",
            Call::KinkRows => "kinks.rows",
            Call::Close => "close",
        }
    }
}

/// How a call was answered; the first word of a reply's head. The second is the length of a text in bytes, the third is
/// not 0 where the text goes on.
pub mod answer {
    /// Numbers lie in the payload.
    pub const DONE: u64 = 1;
    /// There is nothing to say.
    pub const NOTHING: u64 = 2;
    /// A text lies in the payload.
    pub const TEXT: u64 = 3;
    /// The text is a [`ToldError`](super::super::told::ToldError).
    pub const ERROR: u64 = 4;
}

/// How a backend is lost that wrote where it must not: the end of a sentence.
pub const SCRIBBLED: &str = "wrote over the memory that its process shares with the engine";

/// In place of a count of sample ids: all samples.
pub const ALL: u64 = u64::MAX;

/// The shape of a batch.
#[derive(Clone, Copy)]
pub struct BatchShape {
    pub n: usize,
    pub p: usize,
    pub ids: Option<usize>,
    pub grad: bool,
    pub hvp: bool,
    /// Kinks that are made linear.
    pub slopes: usize,
}

impl BatchShape {
    /// Words of theta, ids, dir, kinks, slopes, which are asked, and of loss, ok, grad, hvp, z, delta, which are answered;
    /// those of either follow each other in the payload. `None` for more than memory can hold.
    pub fn words(&self) -> Option<([usize; 5], [usize; 6])> {
        let cells = self.n.checked_mul(self.p)?;
        let if_wanted = |wanted: bool| if wanted { cells } else { 0 };
        let (grad, hvp) = (if_wanted(self.grad), if_wanted(self.hvp));
        let told = self.n.checked_mul(self.slopes)?;
        let asked = [cells, self.ids.unwrap_or(0), hvp, self.slopes, self.slopes];
        let answered = [self.n, self.n, grad, hvp, told, told];
        let all = asked.iter().chain(&answered);
        all.copied().try_fold(0_usize, usize::checked_add).map(|_| (asked, answered))
    }

    /// The arguments of [`Call::Eval`], which come first in those of its likes.
    pub fn arguments(&self) -> [u64; 3] {
        let flags = u64::from(self.grad) | u64::from(self.hvp) << 1;
        [self.n as u64, self.ids.map_or(ALL, |m| m as u64), flags]
    }

    /// The shape of such arguments.
    pub fn of([n, ids, flags]: [u64; 3], p: usize, slopes: usize) -> BatchShape {
        let ids = (ids != ALL).then_some(ids as usize);
        BatchShape { n: n as usize, p, ids, grad: flags & 1 != 0, hvp: flags & 2 != 0, slopes }
    }
}

/// Parts of the words of a message, one behind the other; `None` where there are fewer words.
pub fn parts<const N: usize>(mut words: &[u64], lengths: [usize; N]) -> Option<[&[u64]; N]> {
    let mut parts = [&words[..0]; N];
    for (part, length) in parts.iter_mut().zip(lengths) {
        (*part, words) = words.split_at_checked(length)?;
    }
    Some(parts)
}

/// The same of words to be written, of which there are enough.
pub fn parts_mut<const N: usize>(mut words: &mut [u64], lengths: [usize; N]) -> [&mut [u64]; N] {
    lengths.map(|length| {
        let (part, behind) = std::mem::take(&mut words).split_at_mut(length);
        words = behind;
        part
    })
}

/// Bytes as words, the last one filled up with zeros.
pub fn words(bytes: &[u8]) -> Vec<u64> {
    let mut words = vec![0; bytes.len().div_ceil(8)];
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_larger_than_memory_has_no_place() {
        let shape = BatchShape { n: 1 << 40, p: 1 << 40, ids: None, grad: true, hvp: false, slopes: 0 };
        assert!(shape.words().is_none());
        let shape = BatchShape { n: 2, p: 3, ids: Some(5), grad: true, hvp: true, slopes: 4 };
        assert_eq!(shape.words(), Some(([6, 5, 6, 4, 4], [2, 2, 6, 6, 8, 8])));
        let again = BatchShape::of(shape.arguments(), 3, 4);
        assert_eq!(again.words(), shape.words());
        assert_eq!(BatchShape::of(BatchShape { ids: None, ..shape }.arguments(), 3, 0).ids, None);
    }

    #[test]
    fn every_call_has_a_word_of_its_own() {
        let calls: Vec<Call> = (0..30).filter_map(Call::of).collect();
        assert!(calls.len() == 20 && calls.iter().zip(0..).all(|(call, word)| *call as u64 == word));
    }
}
