//! A function sampled on a grid, ready to be ordered: shape, connectivity, and the key of each sample.
//!
//! Two cubical complexes are built on a grid (Bleile et al., "The persistent homology of dual digital image
//! constructions", 2022). In the vertex construction V a sample is a vertex, and a cell has the greatest value of its
//! vertices; in the top-cell construction T a sample is a cube of full dimension, and a cell has the least value of the
//! cubes round it. Sublevel sets of a cell are closed in both.

use super::levels::{Keys, Levels};
use crate::error::{Error, Result};
use crate::npy::{Array, Values};
use crate::order::Key;

/// More axes than this are refused: stars are bit masks of 3^n cells.
pub const MOST_AXES: usize = 4;
/// The most axes of which degree 0 can be had, which needs no stars.
pub const MOST_AXES_OF_COMPONENTS: usize = 16;
/// A periodic axis has no fewer samples: both neighbours of each are others.
pub const LEAST_PERIODIC: usize = 3;

/// Bytes a sample: the label of its basin, the star of its gradient.
const LABEL: u64 = 4;
const STAR: u64 = 4;

/// The number of samples of a grid, where it is one that they can be counted in: below 2^31.
pub fn count(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1_usize, |n, &size| n.checked_mul(size)).filter(|&n| n < 1 << 31)
}

/// Which complex the samples span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Construction {
    /// Samples are vertices.
    #[default]
    Vertex,
    /// Samples are cubes of full dimension.
    TopCell,
}

impl Construction {
    /// Which samples touch in a sublevel set.
    pub fn reach(self) -> Reach {
        match self {
            Construction::Vertex => Reach::Axes,
            Construction::TopCell => Reach::Box,
        }
    }
}

/// How an array is read as a function.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sampling<'a> {
    /// The axes that close up.
    pub periodic: &'a [usize],
    /// What the samples are.
    pub construction: Construction,
    /// Whether superlevel sets are asked for.
    pub superlevel: bool,
    /// The highest degree that will be asked for; all unless given. Degree 0 of vertices needs no stars, and so can be had
    /// of [`MOST_AXES_OF_COMPONENTS`] axes.
    pub max_degree: Option<usize>,
}

impl Sampling<'_> {
    /// How many axes an array may have.
    pub fn most_axes(&self) -> usize {
        match (self.max_degree, self.construction) {
            (Some(0), Construction::Vertex) => MOST_AXES_OF_COMPONENTS,
            _ => MOST_AXES,
        }
    }
}

/// Which samples touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The 2n neighbours along the axes.
    Axes,
    /// All 3^n - 1 neighbours of the surrounding box.
    Box,
}

/// The size of a grid and which of its axes close up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Samples along each axis.
    pub sizes: Vec<usize>,
    /// Whether the last sample of each axis is next to the first.
    pub periodic: Vec<bool>,
    /// From one sample to the next along each axis; C order.
    pub strides: Vec<usize>,
}

impl Shape {
    /// Refuses shapes without samples, with too many, or with periodic axes too short to tell both neighbours apart.
    pub fn new(sizes: &[usize], periodic: &[usize]) -> Result<Shape> {
        let refuse = |text: String| Err(Error::Argument(text));
        if sizes.is_empty() || sizes.len() > MOST_AXES_OF_COMPONENTS {
            return Err(axes_refused(sizes.len()));
        }
        match count(sizes) {
            Some(0) => return refuse(format!("the array of shape {sizes:?} is empty")),
            Some(_) => {}
            None => return refuse(format!("the array of shape {sizes:?} has 2^31 samples or more")),
        }
        let mut closed = vec![false; sizes.len()];
        for &axis in periodic {
            match sizes.get(axis) {
                None => return refuse(format!("periodic axis {axis}: the axes are 0 to {}", sizes.len() - 1)),
                Some(..LEAST_PERIODIC) => {
                    let found = sizes[axis];
                    return refuse(format!("periodic axis {axis} has {found} samples: {LEAST_PERIODIC} are needed"));
                }
                Some(_) => closed[axis] = true,
            }
        }
        let mut strides = vec![1; sizes.len()];
        (0..sizes.len() - 1).rev().for_each(|axis| strides[axis] = strides[axis + 1] * sizes[axis + 1]);
        Ok(Shape { sizes: sizes.to_vec(), periodic: closed, strides })
    }

    /// The number of axes.
    pub fn axes(&self) -> usize {
        self.sizes.len()
    }

    /// The number of samples.
    pub fn count(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The sample one step along an axis (`step` is 1 or -1); `None` outside.
    pub fn step(&self, sample: usize, axis: usize, step: isize) -> Option<usize> {
        let (size, stride) = (self.sizes[axis], self.strides[axis]);
        let at = sample / stride % size;
        match (step, at) {
            (1, _) if at + 1 < size => Some(sample + stride),
            (-1, 1..) => Some(sample - stride),
            _ if !self.periodic[axis] => None,
            (1, _) => Some(sample - at * stride),
            _ => Some(sample + (size - 1) * stride),
        }
    }
}

/// A sampled function.
///
/// ```
/// use mountainpass::morse::basin::Components;
/// use mountainpass::morse::grid::{Grid, Sampling};
/// use mountainpass::npy::Array;
/// use mountainpass::persistence::of_grid::{Wanted, canonical};
/// use mountainpass::machine::pool::Pool;
///
/// // A ring of height 2 with a gap of 1 in it, round a pit of depth 0, in a plain of height 0.5.
/// let values = [
///     [0.5, 0.5, 0.5, 0.5, 0.5_f32],
///     [0.5, 2.0, 2.0, 2.0, 0.5],
///     [0.5, 2.0, 0.0, 1.0, 0.5],
///     [0.5, 2.0, 2.0, 2.0, 0.5],
///     [0.5, 0.5, 0.5, 0.5, 0.5],
/// ];
/// let array = Array { shape: vec![5, 5], values: values.concat().into() };
/// let (grid, pool) = (Grid::new(array, Sampling::default())?, Pool::new(0));
/// let barcode = canonical(&grid, Wanted::default(), &pool).barcode(&grid);
/// let bars: Vec<_> = barcode.bars.iter().map(|bar| (bar.degree, bar.birth, bar.death())).collect();
/// assert_eq!(bars, [(0, 0.0, None), (0, 0.5, Some(1.0)), (1, 0.5, Some(2.0))]);
/// // The middle and its gap drain into the pit, sample 12.
/// let labels = Components::of(&grid, &pool).labels();
/// assert_eq!((labels[12], labels[13], labels[14]), (12, 12, 0));
/// # Ok::<(), mountainpass::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Grid {
    /// The shape of the array.
    pub shape: Shape,
    /// What the samples are.
    pub construction: Construction,
    /// The highest degree that can be had of it.
    pub max_degree: usize,
    levels: Levels,
}

impl Grid {
    /// Reads an array. NaN is refused, and so is -inf (+inf with `superlevel`): no sublevel set could begin there.
    pub fn new(array: Array, sampling: Sampling<'_>) -> Result<Grid> {
        if array.shape.len() > sampling.most_axes() {
            return Err(axes_refused(array.shape.len()));
        }
        let Sampling { periodic, construction, superlevel, max_degree } = sampling;
        let (shape, max_degree) = (Shape::new(&array.shape, periodic)?, max_degree.unwrap_or(usize::MAX));
        let levels = Levels::new(array.values, superlevel).map_err(|stray| {
            let position = shape.strides.iter().zip(&shape.sizes).map(|(stride, size)| stray.at / stride % size);
            stray.refused(&format!("the sample at {:?}", position.collect::<Vec<usize>>()))
        })?;
        Ok(Grid { shape, construction, max_degree, levels })
    }

    /// The bytes that the barcode of an array takes at the least, beside the array itself: keys of four bytes where its
    /// numbers have fewer, a label for every sample, and for more than components of several axes its star.
    pub fn work(array: &Array, max_degree: Option<usize>) -> u64 {
        let narrow = matches!(array.values, Values::I8(_) | Values::U8(_) | Values::I16(_) | Values::U16(_));
        let keys = if narrow { 4 } else { 0 };
        let star = if max_degree == Some(0) || array.shape.len() < 2 { 0 } else { STAR };
        (array.values.len() as u64).saturating_mul(keys + LABEL + star)
    }

    /// The bytes that so many samples take whose values are yet to be computed, with their barcode: value and key, label
    /// and star, and on a rough loss as many edges between basins as would fill the room of two more numbers.
    pub fn work_to_come(samples: usize) -> u64 {
        (samples as u64).saturating_mul(2 * 8 + LABEL + STAR + 2 * 8)
    }

    /// The keys.
    pub fn keys(&self) -> &Keys {
        self.levels.keys()
    }

    /// The value of a sample.
    pub fn value(&self, sample: u64) -> f64 {
        self.levels.value(sample as usize)
    }

    /// Whether superlevel sets were asked for.
    pub fn superlevel(&self) -> bool {
        self.levels.superlevel()
    }

    /// The key of samples in no sublevel set.
    pub fn absent(&self) -> Option<u64> {
        self.levels.absent()
    }
}

fn axes_refused(n: usize) -> Error {
    Error::Argument(format!(
        "an array of {n} axes: 1 to {MOST_AXES} are supported, in degree 0 up to {MOST_AXES_OF_COMPONENTS}"
    ))
}

/// The keys of a grid in one width, as the algorithms take them.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a, K> {
    /// The shape of the array.
    pub shape: &'a Shape,
    /// A key for each sample, by which it is ordered.
    pub keys: &'a [K],
    /// The key of samples that are no part of it, if there are any.
    pub absent: Option<u64>,
}

impl<K: Key> Field<'_, K> {
    /// Whether a sample is in some sublevel set.
    pub fn is_present(&self, sample: usize) -> bool {
        self.absent.is_none_or(|absent| self.keys[sample].wide() != absent)
    }
}

/// Calls `$body` with `$field` bound to the grid's keys in their own width.
macro_rules! with_field {
    ($grid:expr, $field:ident => $body:expr) => {{
        let (shape, absent) = (&$grid.shape, $grid.absent());
        match $grid.keys() {
            $crate::morse::levels::Keys::Narrow(keys) => {
                let $field = $crate::morse::grid::Field { shape, keys, absent };
                $body
            }
            $crate::morse::levels::Keys::Wide(keys) => {
                let $field = $crate::morse::grid::Field { shape, keys, absent };
                $body
            }
        }
    }};
}
pub(crate) use with_field;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_axes_are_taken_for_the_components_of_vertices_alone() {
        let array = |axes| Array { shape: vec![1; axes], values: vec![0_u8].into() };
        let grid = |axes, construction, max_degree| {
            Grid::new(array(axes), Sampling { construction, max_degree, ..Sampling::default() })
        };
        let text = "an array of 5 axes: 1 to 4 are supported, in degree 0 up to 16";
        for (construction, degree) in
            [(Construction::Vertex, None), (Construction::Vertex, Some(1)), (Construction::TopCell, Some(0))]
        {
            assert!(grid(4, construction, degree).is_ok());
            assert_eq!(grid(5, construction, degree).unwrap_err().to_string(), text);
        }
        assert_eq!(grid(16, Construction::Vertex, Some(0)).unwrap().max_degree, 0);
        assert!(grid(17, Construction::Vertex, Some(0)).is_err());
    }
}
