//! Convolutions as products with all that their windows see, laid out side by side.

use super::nodes::int;
use super::operators::Writer;
use crate::graph::op::{Op, Window};
use crate::graph::{Graph, Id};
use mountainpass_sdk::Error;

/// More numbers than this are not laid out side by side for a product.
const COLUMNS_MAX: usize = 1 << 23;

/// A window that looks at an image, its taps in this order or from the last to the first.
pub(super) struct Sight {
    window: Window,
    is_reversed: bool,
}

impl Sight {
    pub fn of(window: &Window) -> Sight {
        Sight { window: *window, is_reversed: false }
    }

    /// How an image of the size `x` sees the places `y` that a window of steps of 1 saw it from.
    fn back(window: &Window, y: [usize; 2], x: [usize; 2]) -> Option<Sight> {
        let Window { kernel, strides, dilations, begin, .. } = *window;
        let reach = [0, 1].map(|k| (kernel[k] - 1) * dilations[k]);
        if strides != [1; 2] || (0..2).any(|k| begin[k] > reach[k]) {
            return None;
        }
        let begin = [0, 1].map(|k| reach[k] - begin[k]);
        let end = [0, 1].map(|k| (x[k] + reach[k]).saturating_sub(begin[k] + y[k]));
        Some(Sight { window: Window { begin, end, ..*window }, is_reversed: true })
    }

    /// Which of the padded image's numbered places are seen, place by place and tap by tap.
    fn rows(&self, places: [usize; 2], width: usize) -> Vec<i64> {
        let Window { kernel, strides, dilations, .. } = self.window;
        let taps = kernel[0] * kernel[1];
        let seen = |place: usize| {
            let first = place / places[1] * strides[0] * width + place % places[1] * strides[1];
            (0..taps).map(move |k| {
                let k = if self.is_reversed { taps - 1 - k } else { k };
                (first + k / kernel[1] * dilations[0] * width + k % kernel[1] * dilations[1]) as i64
            })
        };
        (0..places[0] * places[1]).flat_map(seen).collect()
    }
}

/// How many numbers are laid out for the convolutions of a graph; they are kept for the gradients by their kernels.
pub(super) fn beside(graph: &Graph) -> usize {
    let of = |i: usize| {
        let node = graph.node(graph.id(i));
        let Op::Convolve { window, groups: 1 } = &node.op else { return 0 };
        let (x, y) = (graph.shape(node.args[0]), graph.shape(graph.id(i)));
        let all = y[..3].iter().product::<usize>().saturating_mul(window.kernel.iter().product::<usize>() * x[3]);
        if all > COLUMNS_MAX { 0 } else { all }
    };
    (0..graph.nodes().len()).map(of).fold(0, usize::saturating_add)
}

impl Writer<'_> {
    /// What a window sees from each of its places, side by side: `[samples places, taps c]`, in one copy. `None` where that
    /// would be too much.
    pub(super) fn columns(&mut self, x: Id, sight: &Sight, places: [usize; 2]) -> Result<Option<String>, Error> {
        let [n, height, width, c] = self.pair.small.shape(x)[..] else { return Ok(None) };
        let Window { kernel, strides, begin, end, .. } = sight.window;
        let (seen, taps) = (places[0] * places[1], kernel[0] * kernel[1]);
        if n * seen * taps * c > COLUMNS_MAX {
            return Ok(None);
        }
        let x = self.straight(x)?;
        if (taps, strides, begin, end) == (1, [1; 2], [0; 2], [0; 2]) {
            return Ok(Some(self.reshape(x, &[n * seen, c])));
        }
        let [height, width] = [height + begin[0] + end[0], width + begin[1] + end[1]];
        let padded = self.pad(x, &[0, begin[0], begin[1], 0], &[0, end[0], end[1], 0]);
        let rows = self.reshape(padded, &[n, height * width, c]);
        let at = self.nodes.wholes(sight.rows(places, width));
        let found = self.nodes.once("Gather", vec![rows, at], vec![int("axis", 1)]);
        Ok(Some(self.reshape(found, &[n * seen, taps * c])))
    }

    /// A convolution as one product with all that its windows see. ONNX Runtime's own does the same image by image, in
    /// products too small to be fast, between transpositions to channels first and back.
    pub(super) fn convolved(
        &mut self,
        args: &[Id],
        window: &Window,
        groups: usize,
        out: &[usize],
    ) -> Result<Option<String>, Error> {
        let columns = self.columns(args[0], &Sight::of(window), [out[1], out[2]])?;
        let Some(columns) = columns.filter(|_| groups == 1) else { return Ok(None) };
        let kernel = self.pair.small.shape(args[1]);
        let w = self.straight(args[1])?;
        let w = self.reshape(w, &[kernel[..3].iter().product(), kernel[3]]);
        let all = self.product(columns, w);
        Ok(Some(self.reshape(all, out)))
    }

    /// Its adjoint by the image, which is a convolution itself where places lie side by side.
    pub(super) fn image_convolved(
        &mut self,
        args: &[Id],
        window: &Window,
        groups: usize,
        out: &[usize],
    ) -> Result<Option<String>, Error> {
        let graph = self.pair.small;
        let (y, kernel) = (graph.shape(args[0]), graph.shape(args[1]));
        let Some(sight) = Sight::back(window, [y[1], y[2]], [out[1], out[2]]).filter(|_| groups == 1) else {
            return Ok(None);
        };
        let Some(columns) = self.columns(args[0], &sight, [out[1], out[2]])? else { return Ok(None) };
        let w = self.transposed(args[1], vec![0, 1, 3, 2])?;
        let w = self.reshape(w, &[kernel[0] * kernel[1] * kernel[3], kernel[2]]);
        let all = self.product(columns, w);
        Ok(Some(self.reshape(all, out)))
    }
}
