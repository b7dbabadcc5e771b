//! A function on a graph as it is given: values of vertices and edges, checked and made keys.

use crate::error::{Error, Result};
use crate::machine::pool::Pool;
use crate::morse::cloud::Cloud;
use crate::morse::labels::NOWHERE;
use crate::morse::levels::Levels;
use crate::npy::{Array, Values};
use crate::order::packed;
use std::fmt::Display;

/// As many cells have names: labels are 32 bits, one of which tells basins from vertices.
const MOST: usize = NOWHERE as usize;

/// A function on a graph.
///
/// ```
/// use mountainpass::morse::graph::Graph;
/// use mountainpass::persistence::of_graph::{Wanted, canonical};
/// use mountainpass::machine::pool::Pool;
///
/// // Two valleys, at vertices 0 and 2, and two ways between them: over 1, or over 3 and 4.
/// let values = vec![0_i64, 9, 1, 5, 4];
/// let edges = vec![[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]];
/// let graph = Graph::new(values.into(), edges, None, false)?;
/// let forest = graph.forest(&Pool::new(0));
/// let barcode = canonical(&forest, Wanted { degree_1: true, ..Wanted::default() }).barcode(&graph);
/// let bars: Vec<_> = barcode.bars.iter().map(|bar| (bar.degree, bar.birth, bar.death())).collect();
/// assert_eq!(bars, [(0, 0.0, None), (0, 1.0, Some(5.0)), (1, 9.0, None)]);
/// assert_eq!(forest.path(2, 0).map(|path| (path.vertices, path.top)), Some((vec![2, 3, 4, 0], 3)));
/// assert_eq!(forest.labels(0.0), [0, 0, 2, 2, 0]);
/// assert_eq!(forest.labels(4.5), [0; 5]); // The valley of vertex 2 is 4 deep.
/// # Ok::<(), mountainpass::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Graph {
    pub(super) n: usize,
    pub(super) edges: Vec<[u32; 2]>,
    /// Of the vertices and, if they have values of their own, of the edges.
    pub(super) levels: Levels,
    /// Which edges enter at values of their own; empty where none has any.
    pub(super) own: Vec<bool>,
}

/// What a reader of a barcode should know of an edge list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Edges from a vertex to itself, without effect.
    pub loops: usize,
    /// Rows that join two vertices joined before, in either direction.
    pub repeats: usize,
    /// Vertices without an edge to another one.
    pub isolated: usize,
    /// Vertices at +inf (superlevel: -inf).
    pub absent: usize,
}

impl Graph {
    /// Takes a value for each vertex, edges as pairs of vertices, and if they have any a value for each edge.
    ///
    /// Refuses an empty graph, ends that are no vertices, numbers of values that do not fit, and NaN and -inf (with
    /// `superlevel`, +inf): no sublevel set could begin there. +inf is in no sublevel set.
    pub fn new(values: Values, edges: Vec<[u32; 2]>, own: Option<Values>, superlevel: bool) -> Result<Graph> {
        let n = values.len();
        if n == 0 {
            return Err(Error::Argument("there are no values: a graph needs at least one vertex".into()));
        }
        let cells = n + own.as_ref().map_or(0, Values::len);
        if cells >= MOST {
            return Err(Error::Argument(format!(
                "the graph has {cells} cells with values: fewer than 2^31 are supported"
            )));
        }
        if let Some(own) = own.as_ref().filter(|own| own.len() != edges.len()) {
            let (m, values) = (edges.len(), own.len());
            return Err(Error::Argument(format!(
                "there are {m} edges but {values} edge values: one for each is needed"
            )));
        }
        if let Some(e) = edges.iter().position(|&[a, b]| a.max(b) as usize >= n) {
            return Err(outside(e, edges[e][0], edges[e][1], n));
        }
        let values = match own {
            Some(own) => joined(values, own)?,
            None => values,
        };
        let levels = Levels::new(values, superlevel).map_err(|stray| {
            let (what, at) = if stray.at < n { ("vertex", stray.at) } else { ("edge", stray.at - n) };
            stray.refused(&format!("the value of {what} {at}"))
        })?;
        let above =
            |(e, &[a, b]): (usize, &[u32; 2])| levels.key(n + e) > levels.key(a as usize).max(levels.key(b as usize));
        let own = edges[..cells - n].iter().enumerate().map(above).collect();
        Ok(Graph { n, edges, levels, own })
    }

    /// The bytes that a graph of `n` vertices and `m` edges takes with its forest at the least, beside the arrays that it
    /// is made of.
    pub fn work(n: usize, m: usize) -> u64 {
        (n as u64).saturating_mul(26).saturating_add((m as u64).saturating_mul(8))
    }

    /// A graph from arrays as files hold them: values of shape (n), edges (m, 2), own values (m).
    pub fn of_arrays(values: Array, edges: Array, own: Option<Array>, superlevel: bool) -> Result<Graph> {
        let ends = ends(&edges, values.values.len())?;
        Graph::new(flat(values, "values")?, ends, own.map(|own| flat(own, "edge values")).transpose()?, superlevel)
    }

    /// The function with a value for each point of a cloud, on the graph of its k nearest neighbours: see [`Cloud::edges`].
    pub fn on_cloud(
        cloud: &Cloud,
        values: Array,
        k: usize,
        radius: Option<f64>,
        superlevel: bool,
        pool: &Pool,
    ) -> Result<Graph> {
        let values = flat(values, "values")?;
        if values.len() != cloud.points() {
            let (n, values) = (cloud.points(), values.len());
            return Err(Error::Argument(format!("there are {n} points but {values} values: one for each is needed")));
        }
        // Bad values are found before the long search for neighbours.
        Graph::new(values.clone(), Vec::new(), None, superlevel)?;
        Graph::new(values, cloud.edges(k, radius, pool)?, None, superlevel)
    }

    /// n, the number of vertices.
    pub fn vertices(&self) -> usize {
        self.n
    }

    /// The edges, as they were given.
    pub fn edges(&self) -> &[[u32; 2]] {
        &self.edges
    }

    /// Whether superlevel sets are asked for.
    pub fn superlevel(&self) -> bool {
        self.levels.superlevel()
    }

    /// The value of a cell: a vertex, or n + e for edge e with a value of its own.
    pub fn value(&self, cell: u64) -> f64 {
        self.levels.value(cell as usize)
    }

    /// Whether two cells have the same value, compared in its own type.
    pub fn same_level(&self, a: u64, b: u64) -> bool {
        self.levels.key(a as usize) == self.levels.key(b as usize)
    }

    /// Counts what may surprise. O(m log m).
    pub fn oddities(&self) -> Oddities {
        let mut alone = vec![true; self.n];
        let proper = self.edges.iter().filter(|[a, b]| a != b);
        let mut pairs: Vec<u64> = proper.map(|&[a, b]| packed(a.min(b), a.max(b))).collect();
        let proper = pairs.len();
        for &[a, b] in self.edges.iter().filter(|[a, b]| a != b) {
            (alone[a as usize], alone[b as usize]) = (false, false);
        }
        pairs.sort_unstable();
        pairs.dedup();
        Oddities {
            loops: self.edges.len() - proper,
            repeats: proper - pairs.len(),
            isolated: alone.into_iter().filter(|&alone| alone).count(),
            absent: (0..self.n).filter(|&v| self.levels.is_absent(v)).count(),
        }
    }
}

/// The values of an array with one axis.
fn flat(array: Array, what: &str) -> Result<Values> {
    match array.shape[..] {
        [_] => Ok(array.values),
        _ => Err(Error::Argument(format!("the {what} have shape {:?}: one axis is needed", array.shape))),
    }
}

/// The rows of an edge list.
fn ends(array: &Array, n: usize) -> Result<Vec<[u32; 2]>> {
    if !matches!(array.shape[..], [_, 2]) {
        return Err(Error::Argument(format!("the edges have shape {:?}: two columns are needed", array.shape)));
    }
    match &array.values {
        Values::I8(v) => rows(v, n),
        Values::I16(v) => rows(v, n),
        Values::I32(v) => rows(v, n),
        Values::I64(v) => rows(v, n),
        Values::U8(v) => rows(v, n),
        Values::U16(v) => rows(v, n),
        Values::U32(v) => rows(v, n),
        Values::U64(v) => rows(v, n),
        Values::F32(_) | Values::F64(_) => {
            Err(Error::Argument("the edges are floating-point numbers: vertices are named by integers".into()))
        }
    }
}

fn rows<T: Copy + Display + TryInto<u32>>(ends: &[T], n: usize) -> Result<Vec<[u32; 2]>> {
    let vertex = |end: T| end.try_into().ok().filter(|&v| (v as usize) < n);
    let row = |(e, row): (usize, &[T])| match (vertex(row[0]), vertex(row[1])) {
        (Some(a), Some(b)) => Ok([a, b]),
        _ => Err(outside(e, row[0], row[1], n)),
    };
    ends.chunks_exact(2).enumerate().map(row).collect()
}

fn outside(edge: usize, a: impl Display, b: impl Display, n: usize) -> Error {
    Error::Argument(match n {
        0 => "there are no values: a graph needs at least one vertex".into(),
        n => format!("edge {edge} joins {a} and {b}: the vertices are 0 to {}", n - 1),
    })
}

/// Two lists of values as one, in a type that holds both exactly.
fn joined(a: Values, b: Values) -> Result<Values> {
    let is_float = |values: &Values| matches!(values, Values::F32(_) | Values::F64(_));
    Ok(match (a, b) {
        (Values::F32(a), Values::F32(b)) => [a, b].concat().into(),
        (Values::U64(a), Values::U64(b)) => [a, b].concat().into(),
        (a, b) if is_float(&a) && is_float(&b) => [a.to_f64(), b.to_f64()].concat().into(),
        (a, b) => match (integers(&a), integers(&b)) {
            (Some(a), Some(b)) => [a, b].concat().into(),
            _ => {
                let (a, b) = (a.descr(), b.descr());
                return Err(Error::Argument(format!(
                    "values of type {a} and edge values of type {b} cannot be compared exactly: convert one of them"
                )));
            }
        },
    })
}

/// Integers as i64, if they are and fit.
fn integers(values: &Values) -> Option<Vec<i64>> {
    fn widened<T: Copy + TryInto<i64>>(values: &[T]) -> Option<Vec<i64>> {
        values.iter().map(|&x| x.try_into().ok()).collect()
    }
    match values {
        Values::F32(_) | Values::F64(_) => None,
        Values::I8(v) => widened(v),
        Values::I16(v) => widened(v),
        Values::I32(v) => widened(v),
        Values::I64(v) => widened(v),
        Values::U8(v) => widened(v),
        Values::U16(v) => widened(v),
        Values::U32(v) => widened(v),
        Values::U64(v) => widened(v),
    }
}
