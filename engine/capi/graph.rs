//! A function on a graph or at the points of a cloud: its barcode, labels and lowest paths.

use super::abi::{self, BarcodeOptions, GraphOptions, keep, sampled};
use super::argument::{check_length, handle, options, out_pointer, unknown_flags};
use super::array::ForeignArray;
use super::barcode::{self, Barcode};
use super::barrier::{give, take};
use super::engine::Engine;
use crate::error::{Error, Result};
use crate::morse::cloud::Cloud;
use crate::morse::graph::{self, Forest};
use crate::npy;
use crate::persistence::of_graph::{Wanted, canonical};
use crate::store::By;
use mountainpass_sdk::abi::Array;

/// `mpass_graph`: its minima and passes are found when it is made.
pub struct Graph {
    forest: Forest<'static>,
    method: By,
}

export! {
    /// Reads a graph.
    fn mpass_graph_new(
        engine: *mut Engine,
        values: *const Array,
        edges: *const Array,
        edge_values: *const Array,
        given: *const GraphOptions,
        out: *mut *mut Graph,
    ) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let pool = unsafe { handle(engine, "engine") }?.lock()?.pool.clone();
        // SAFETY: NULL or the caller's options.
        let given = unsafe { read(given) }?;
        // SAFETY: the caller's array, here and below; all are read before any is copied.
        let values = unsafe { ForeignArray::argument(values, "values") }?;
        // SAFETY: as above.
        let edges = unsafe { ForeignArray::argument(edges, "edges") }?;
        let own = match edge_values.is_null() {
            true => None,
            // SAFETY: as above.
            false => Some(unsafe { copied(edge_values, "edge_values") }?),
        };
        // SAFETY: the elements are there during the call.
        let values = unsafe { values.copy() }?;
        // SAFETY: as above.
        let edges = unsafe { edges.copy() }?;
        if given.radius != 0.0 {
            let text = format!("mpass_graph_options.radius is {}: it is for points", given.radius);
            return Err(Error::Unsupported { backend: "mpass_graph_new".into(), text });
        }
        let graph = graph::Graph::of_arrays(values, edges, own, given.flags & sampled::SUPERLEVEL != 0)?;
        let graph = Graph { forest: graph.into_forest(&pool), method: By::Graph };
        // SAFETY: checked above.
        unsafe { give(out, graph) };
        Ok(())
    }
}

export! {
    /// Joins points with their nearest neighbours.
    fn mpass_graph_of_points(
        engine: *mut Engine,
        points: *const Array,
        values: *const Array,
        k: u64,
        given: *const GraphOptions,
        out: *mut *mut Graph,
    ) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let pool = unsafe { handle(engine, "engine") }?.lock()?.pool.clone();
        // SAFETY: NULL or the caller's options.
        let given = unsafe { read(given) }?;
        // SAFETY: the caller's array.
        let points = unsafe { copied(points, "points") }?;
        // SAFETY: the caller's array.
        let values = unsafe { copied(values, "values") }?;
        let (k, superlevel) = (usize::try_from(k).unwrap_or(usize::MAX), given.flags & sampled::SUPERLEVEL != 0);
        let radius = (given.radius != 0.0).then_some(given.radius);
        let graph = graph::Graph::on_cloud(&Cloud::of_array(&points)?, values, k, radius, superlevel, &pool)?;
        let graph = Graph { forest: graph.into_forest(&pool), method: By::Cloud };
        // SAFETY: checked above.
        unsafe { give(out, graph) };
        Ok(())
    }
}

/// # Safety
/// `array` is NULL or a record whose pointers reach what its counts say.
unsafe fn copied(array: *const Array, name: &str) -> Result<npy::Array> {
    // SAFETY: forwarded from the caller.
    let array = unsafe { ForeignArray::argument(array, name) }?;
    // SAFETY: forwarded from the caller.
    unsafe { array.copy() }
}

/// # Safety
/// `given` is NULL or as large as its `struct_size` says.
unsafe fn read(given: *const GraphOptions) -> Result<GraphOptions> {
    // SAFETY: forwarded from the caller.
    let given = unsafe { options(given, GraphOptions::zeroed(), "mpass_graph_options") }?;
    unknown_flags(given.flags, sampled::SUPERLEVEL, "mpass_graph_options")?;
    Ok(given)
}

/// A persistence below which bars are cancelled.
fn length(simplify: f64, name: &str) -> Result<f64> {
    match simplify {
        length if length >= 0.0 && length.is_finite() => Ok(length),
        other => Err(Error::Argument(format!("{name} is {other}: a length of zero or more is needed"))),
    }
}

export! {
    /// The barcode.
    fn mpass_graph_barcode(graph: *const Graph, given: *const BarcodeOptions, out: *mut *mut Barcode) {
        let out = out_pointer(out, "out")?;
        // SAFETY: the caller's handle.
        let Graph { forest, method } = unsafe { handle(graph, "graph") }?;
        // SAFETY: NULL or the caller's options.
        let given = unsafe { barcode::wanted(given) }?;
        let wanted = Wanted {
            degree_1: given.degrees > 1,
            zero_length: given.flags & keep::ZERO_LENGTH != 0,
            shortest: length(given.simplify, "mpass_barcode_options.simplify")?,
            cycles: given.flags & keep::CYCLES != 0,
        };
        let bars = canonical(forest, wanted).barcode(forest.graph());
        // SAFETY: checked above.
        unsafe { give(out, Barcode::of_samples(bars, forest.graph().superlevel(), *method)) };
        Ok(())
    }
}

export! {
    /// The minimum that every vertex belongs to.
    fn mpass_graph_labels(graph: *const Graph, simplify: f64, labels: *mut i64, count: u64) {
        // SAFETY: the caller's handle.
        let forest = &unsafe { handle(graph, "graph") }?.forest;
        let labels = check_length(labels, count, forest.graph().vertices(), "labels")?;
        for (i, label) in forest.labels(length(simplify, "simplify")?).into_iter().enumerate() {
            // SAFETY: the caller's memory for `count` labels.
            unsafe { labels.wrapping_add(i).write_unaligned(label) };
        }
        Ok(())
    }
}

export! {
    /// The path between two vertices whose highest value is lowest.
    fn mpass_graph_path(
        graph: *const Graph,
        from: u64,
        to: u64,
        vertices: *mut u32,
        room: u64,
        count: *mut u64,
        top: *mut u64,
    ) {
        let (count, top) = (out_pointer(count, "count")?, out_pointer(top, "top")?);
        // SAFETY: the caller's handle.
        let forest = &unsafe { handle(graph, "graph") }?.forest;
        let n = forest.graph().vertices();
        let vertex = |vertex: u64, name: &str| match u32::try_from(vertex).ok().filter(|&v| (v as usize) < n) {
            Some(vertex) => Ok(vertex),
            None => Err(Error::Argument(format!("{name} is {vertex}: the vertices are 0 to {}", n - 1))),
        };
        // Where no sublevel set joins them, no vertex leads from the one to the other.
        let path = forest.path(vertex(from, "from")?, vertex(to, "to")?);
        let (way, highest) = path.map_or((Vec::new(), abi::NONE), |path| (path.vertices, path.top));
        let needed = way.len() as u64;
        if !vertices.is_null() && room < needed {
            let text = format!("vertices has room for {room}, and the path has {needed}; no path has more than {n}");
            return Err(Error::Argument(text));
        }
        if !vertices.is_null() {
            for (i, &vertex) in way.iter().enumerate() {
                // SAFETY: the caller's memory for `room` vertices.
                unsafe { vertices.wrapping_add(i).write_unaligned(vertex) };
            }
        }
        // SAFETY: checked above.
        unsafe { count.write(needed) };
        // SAFETY: checked above.
        unsafe { top.write(highest) };
        Ok(())
    }
}

export! {
    /// Frees a graph.
    fn mpass_graph_free(graph: *mut Graph) -> (), else (); {
        // SAFETY: the caller gives it up.
        unsafe { take(graph) };
        Ok(())
    }
}
