//! A function sampled on a grid, ready to be ordered: shape, connectivity, and one integer key for each sample.
//!
//! Two cubical complexes are built on a grid (Bleile et al., "The persistent homology of dual digital image
//! constructions", 2022). In the vertex construction V a sample is a vertex, and a cell has the greatest value of its
//! vertices; in the top-cell construction T a sample is a cube of full dimension, and a cell has the least value of the
//! cubes round it. Sublevel sets of a cell are closed in both.

use crate::error::{Error, Result};
use crate::npy::{Array, Values};
use crate::order::{Key, Ordinal};

/// More axes than this are refused: stars are bit masks of 3^n cells.
pub const MOST_AXES: usize = 4;
/// The most axes of which degree 0 can be had, which needs no stars.
pub const MOST_AXES_OF_COMPONENTS: usize = 16;

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
        let count = sizes.iter().try_fold(1_usize, |n, &size| n.checked_mul(size));
        match count {
            Some(0) => return refuse(format!("the array of shape {sizes:?} is empty")),
            Some(n) if n < 1 << 31 => {}
            _ => return refuse(format!("the array of shape {sizes:?} has 2^31 samples or more")),
        }
        let mut closed = vec![false; sizes.len()];
        for &axis in periodic {
            match sizes.get(axis) {
                None => return refuse(format!("periodic axis {axis}: the axes are 0 to {}", sizes.len() - 1)),
                Some(..3) => return refuse(format!("periodic axis {axis} has {} samples: 3 are needed", sizes[axis])),
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

/// The keys of a grid, in the width that its element type needs.
#[derive(Clone, Debug)]
pub enum Keys {
    /// Of 32 bits.
    Narrow(Vec<u32>),
    /// Of 64 bits.
    Wide(Vec<u64>),
}

/// A sampled function.
///
/// ```
/// use mountainpass::morse::basin::Components;
/// use mountainpass::morse::grid::{Construction, Grid};
/// use mountainpass::npy::Array;
/// use mountainpass::persistence::of_grid::{Wanted, canonical};
/// use mountainpass::persistence::pairs::barcode;
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
/// let (grid, pool) = (Grid::new(array, &[], Construction::Vertex, false)?, Pool::new(0));
/// let found = canonical(&grid, Wanted::default(), &pool);
/// let barcode = barcode(&found.pairs, |sample| grid.value(sample));
/// let bars: Vec<_> = barcode.bars.iter().map(|bar| (bar.degree, bar.birth, bar.death)).collect();
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
    keys: Keys,
    /// The key of samples that are in no sublevel set: +inf, or -inf where superlevel sets are asked for.
    absent: Option<u64>,
    /// The value of a key.
    value: fn(u64) -> f64,
    superlevel: bool,
}

impl Grid {
    /// Reads an array. NaN is refused, and so is -inf (+inf with `superlevel`): no sublevel set could begin there.
    pub fn new(array: Array, periodic: &[usize], construction: Construction, superlevel: bool) -> Result<Grid> {
        match array.shape.len() {
            n if n > MOST_AXES => Err(axes_refused(n)),
            _ => Grid::read(array, periodic, construction, superlevel),
        }
    }

    /// The bytes that the barcode of an array takes at the least, beside the array itself: keys of four bytes where its
    /// numbers have fewer, a label for every sample, and for more than components of several axes its star.
    pub fn work(array: &Array, only_components: bool) -> u64 {
        let narrow = matches!(array.values, Values::I8(_) | Values::U8(_) | Values::I16(_) | Values::U16(_));
        let keys = if narrow { 4 } else { 0 };
        let star = if only_components || array.shape.len() < 2 { 0 } else { 4 };
        (array.values.len() as u64).saturating_mul(keys + 4 + star)
    }

    /// A grid of up to [`MOST_AXES_OF_COMPONENTS`] axes, for who asks for degree 0 alone; samples are vertices.
    pub fn of_components(array: Array, periodic: &[usize], superlevel: bool) -> Result<Grid> {
        Grid::read(array, periodic, Construction::Vertex, superlevel)
    }

    fn read(array: Array, periodic: &[usize], construction: Construction, superlevel: bool) -> Result<Grid> {
        let shape = Shape::new(&array.shape, periodic)?;
        macro_rules! of {
            ($width:ident, $values:expr, $type:ident, $infinity:expr) => {{
                let flip = |key: <$type as Ordinal>::Key| if superlevel { key.reversed() } else { key };
                let keys = Keys::$width($values.into_iter().map(|x: $type| flip(x.key())).collect());
                let infinity: Option<$type> = $infinity;
                (keys, infinity.map(|x| x.key().wide()), |key| $type::from_key(key as _) as f64)
            }};
        }
        macro_rules! float {
            ($width:ident, $values:expr, $type:ident) => {{
                let begins = if superlevel { $type::INFINITY } else { $type::NEG_INFINITY };
                match $values.iter().position(|x| x.is_nan() || *x == begins) {
                    Some(i) => return Err(refused(i, $values[i].into(), &shape)),
                    None => of!($width, $values, $type, Some($type::INFINITY)),
                }
            }};
        }
        let (keys, absent, value): (Keys, Option<u64>, fn(u64) -> f64) = match array.values {
            Values::F32(v) => float!(Narrow, v, f32),
            Values::F64(v) => float!(Wide, v, f64),
            Values::I8(v) => of!(Narrow, v, i8, None),
            Values::I16(v) => of!(Narrow, v, i16, None),
            Values::I32(v) => of!(Narrow, v, i32, None),
            Values::I64(v) => of!(Wide, v, i64, None),
            Values::U8(v) => of!(Narrow, v, u8, None),
            Values::U16(v) => of!(Narrow, v, u16, None),
            Values::U32(v) => of!(Narrow, v, u32, None),
            Values::U64(v) => of!(Wide, v, u64, None),
        };
        // The reversed key of -inf is the key of +inf: the codes of a float and its negative are complements.
        Ok(Grid { shape, construction, keys, absent, value, superlevel })
    }

    /// The keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The value of a sample.
    pub fn value(&self, sample: u64) -> f64 {
        let key = match &self.keys {
            Keys::Narrow(keys) if self.superlevel => keys[sample as usize].reversed().wide(),
            Keys::Narrow(keys) => keys[sample as usize].wide(),
            Keys::Wide(keys) if self.superlevel => keys[sample as usize].reversed(),
            Keys::Wide(keys) => keys[sample as usize],
        };
        (self.value)(key)
    }

    /// Whether superlevel sets were asked for.
    pub fn superlevel(&self) -> bool {
        self.superlevel
    }

    /// The key of samples in no sublevel set.
    pub fn absent(&self) -> Option<u64> {
        self.absent
    }
}

fn axes_refused(n: usize) -> Error {
    Error::Argument(format!(
        "an array of {n} axes: 1 to {MOST_AXES} are supported, in degree 0 up to {MOST_AXES_OF_COMPONENTS}"
    ))
}

fn refused(at: usize, value: f64, shape: &Shape) -> Error {
    let place: Vec<usize> = shape.strides.iter().zip(&shape.sizes).map(|(stride, size)| at / stride % size).collect();
    Error::Argument(format!("the sample at {place:?} is {value}: it has no place among the values of a function"))
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
#[macro_export]
#[doc(hidden)]
macro_rules! with_field {
    ($grid:expr, $field:ident => $body:expr) => {{
        let (shape, absent) = (&$grid.shape, $grid.absent());
        match $grid.keys() {
            $crate::morse::grid::Keys::Narrow(keys) => {
                let $field = $crate::morse::grid::Field { shape, keys, absent };
                $body
            }
            $crate::morse::grid::Keys::Wide(keys) => {
                let $field = $crate::morse::grid::Field { shape, keys, absent };
                $body
            }
        }
    }};
}
