//! The merge tree of a function on a graph: which component dies into which, and on what edge (Kruskal's order, elder
//! rule). Exact over the graph it is given: all routes count, of any number of hops.

use crate::order::by_value;
use crate::union_find::UnionFind;

/// A vertex: where a component is born.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vertex {
    /// The height of the minimum.
    pub value: f64,
    /// Breaks ties between equal values.
    pub cell: u64,
}

/// An edge, at the height at which it joins its ends (indices of vertices). Loops and repeats are harmless.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The height of the pass.
    pub height: f64,
    /// Breaks ties between equal heights.
    pub cell: u64,
    /// The vertices that it joins.
    pub ends: (usize, usize),
}

/// The end of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The vertex that dies: the eldest of the younger component.
    pub dead: usize,
    /// The vertex that lives on: the eldest of the component it joins.
    pub elder: usize,
    /// The edge that joins them.
    pub edge: usize,
}

/// The vertices in the order in which they are born.
#[derive(Clone, Debug, Default)]
pub struct Ages {
    by_age: Vec<usize>,
    age: Vec<u32>,
}

impl Ages {
    /// Sorts: O(n log n).
    pub fn of(vertices: &[Vertex]) -> Ages {
        let mut by_age: Vec<usize> = (0..vertices.len()).collect();
        by_age.sort_by(|&a, &b| by_value((vertices[a].value, vertices[a].cell), (vertices[b].value, vertices[b].cell)));
        let mut age = vec![0u32; vertices.len()];
        by_age.iter().enumerate().for_each(|(rank, &v)| age[v] = rank as u32);
        Ages { by_age, age }
    }
}

/// All merges, lowest first. O(n + m log m), less where the edges are nearly sorted. An edge below one of its ends acts
/// at the higher end's value; edges at +inf join nothing.
pub fn merges(vertices: &[Vertex], Ages { by_age, age }: &Ages, edges: &[Edge]) -> Vec<Merge> {
    let height = |e: &Edge| e.height.max(vertices[e.ends.0].value).max(vertices[e.ends.1].value);
    let mut order: Vec<usize> = (0..edges.len()).filter(|&e| height(&edges[e]) < f64::INFINITY).collect();
    order.sort_by(|&a, &b| by_value((height(&edges[a]), edges[a].cell), (height(&edges[b]), edges[b].cell)));
    let mut components = UnionFind::new(vertices.len());
    order
        .into_iter()
        .filter_map(|edge| {
            let (a, b) = edges[edge].ends;
            let (dead, elder) = components.merge(age[a], age[b])?;
            Some(Merge { dead: by_age[dead as usize], elder: by_age[elder as usize], edge })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph() -> impl Strategy<Value = (Vec<f64>, Vec<(usize, usize, f64)>)> {
        (2usize..9).prop_flat_map(|n| {
            let edge = (0..n, 0..n, 0.0f64..2.0);
            (prop::collection::vec(-1.0f64..1.0, n), prop::collection::vec(edge, 0..20))
        })
    }

    fn build(values: &[f64], edges: &[(usize, usize, f64)]) -> (Vec<Vertex>, Vec<Edge>) {
        let vertices = values.iter().enumerate().map(|(i, &value)| Vertex { value, cell: i as u64 }).collect();
        let edges = edges.iter().enumerate().map(|(i, &(a, b, rise))| Edge {
            height: values[a].max(values[b]) + rise,
            cell: (values.len() + i) as u64,
            ends: (a, b),
        });
        (vertices, edges.collect())
    }

    /// The lowest maximum over all routes, by Floyd and Warshall: an algorithm of its own.
    fn minimax(vertices: &[Vertex], edges: &[Edge]) -> Vec<Vec<f64>> {
        let n = vertices.len();
        let mut d = vec![vec![f64::INFINITY; n]; n];
        (0..n).for_each(|i| d[i][i] = vertices[i].value);
        for e in edges {
            let (a, b) = e.ends;
            let h = if a == b { vertices[a].value } else { e.height };
            d[a][b] = d[a][b].min(h);
            d[b][a] = d[b][a].min(h);
        }
        for k in 0..n {
            for i in 0..n {
                for j in 0..n {
                    d[i][j] = d[i][j].min(d[i][k].max(d[k][j]));
                }
            }
        }
        d
    }

    proptest! {
        #[test]
        fn a_death_is_the_minimax_to_anything_lower((values, edges) in graph()) {
            let (vertices, edges) = build(&values, &edges);
            let found = merges(&vertices, &Ages::of(&vertices), &edges);
            let d = minimax(&vertices, &edges);
            for i in 0..vertices.len() {
                let expected = (0..vertices.len())
                    .filter(|&j| by_value((values[j], j as u64), (values[i], i as u64)).is_lt())
                    .map(|j| d[i][j])
                    .fold(f64::INFINITY, f64::min);
                let death = found.iter().find(|m| m.dead == i).map_or(f64::INFINITY, |m| edges[m.edge].height);
                prop_assert_eq!(death, expected);
            }
        }

        #[test]
        fn one_half_line_per_connected_component((values, edges) in graph()) {
            let (vertices, edges) = build(&values, &edges);
            let mut components = UnionFind::new(values.len());
            let joined = edges.iter().filter(|e| components.merge(e.ends.0 as u32, e.ends.1 as u32).is_some()).count();
            prop_assert_eq!(merges(&vertices, &Ages::of(&vertices), &edges).len(), joined);
        }

        #[test]
        fn a_lower_edge_never_raises_a_death((values, mut edges) in graph(), pick in 0usize..20) {
            prop_assume!(!edges.is_empty());
            let death = |edges: &[(usize, usize, f64)]| {
                let (v, e) = build(&values, edges);
                let mut deaths = vec![f64::INFINITY; v.len()];
                merges(&v, &Ages::of(&v), &e).iter().for_each(|m| deaths[m.dead] = e[m.edge].height);
                deaths
            };
            let before = death(&edges);
            let at = pick % edges.len();
            edges[at].2 *= 0.5;
            let after = death(&edges);
            prop_assert!(before.iter().zip(&after).all(|(b, a)| a <= b));
        }
    }

    #[test]
    fn routes_of_many_hops_count() {
        // 0 is lowest; 3 reaches it over 2 and 1 at height 2, directly only at 9 (BarcodesDNN took the 9).
        let values = [0.0, 1.0, 1.1, 1.2];
        let (vertices, _) = build(&values, &[]);
        let edge = |a, b, height, cell| Edge { height, cell, ends: (a, b) };
        let edges = [edge(3, 0, 9.0, 10), edge(3, 2, 2.0, 11), edge(2, 1, 1.8, 12), edge(1, 0, 1.9, 13)];
        let death = merges(&vertices, &Ages::of(&vertices), &edges)
            .into_iter()
            .find(|m| m.dead == 3)
            .map(|m| edges[m.edge].height);
        assert_eq!(death, Some(2.0));
    }
}
