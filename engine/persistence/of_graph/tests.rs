//! Graphs against other roads to the same answers: reduction of the whole boundary matrix, Floyd and Warshall's minimax,
//! ToMATo's sweep.

use super::*;
use crate::machine::pool::Pool;
use crate::morse::graph::{Graph, Oddities};
use crate::npy::{Array, Values};
use proptest::prelude::*;

/// A graph as the oracles read it.
#[derive(Clone, Debug)]
struct Plain {
    values: Vec<f64>,
    edges: Vec<[u32; 2]>,
    own: Option<Vec<f64>>,
}

impl Plain {
    fn graph(&self, superlevel: bool) -> Graph {
        let sign = |values: &[f64]| -> Values {
            values.iter().map(|x| if superlevel { -x } else { *x }).collect::<Vec<f64>>().into()
        };
        Graph::new(sign(&self.values), self.edges.clone(), self.own.as_deref().map(sign), superlevel).unwrap()
    }

    /// The place of an edge in the order of cells, and the cell that gives it its value.
    fn height(&self, e: usize) -> (f64, usize) {
        let place = |v: u32| (self.values[v as usize], v as usize);
        let [a, b] = self.edges[e].map(place);
        let high = if a > b { a } else { b };
        match &self.own {
            Some(own) if own[e] > high.0 => (own[e], self.values.len() + e),
            _ => high,
        }
    }

    /// The rows that count: no loops, nothing at +inf, of repeats the lowest.
    fn rows(&self) -> Vec<usize> {
        let ends = |e: usize| (self.edges[e][0].min(self.edges[e][1]), self.edges[e][0].max(self.edges[e][1]));
        let counts = |e: usize| {
            let lower = |f: usize| ends(f) == ends(e) && (self.height(f), f) < (self.height(e), e);
            ends(e).0 != ends(e).1 && self.height(e).0 < f64::INFINITY && !(0..self.edges.len()).any(lower)
        };
        (0..self.edges.len()).filter(|&e| counts(e)).collect()
    }

    /// The canonical form by reduction of the boundary matrix over Z/2, cell after cell, and elders by search.
    fn reduced(&self) -> Vec<Pair> {
        /// (value, cell that gives it), degree, lower end, boundary.
        type Cell = ((f64, usize), u32, (f64, u32), Vec<u32>);
        let mut cells: Vec<Cell> = Vec::new();
        for (v, &value) in self.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            cells.push(((value, v), 0, (0.0, v as u32), Vec::new()));
        }
        for e in self.rows() {
            let [a, b] = self.edges[e];
            let low = if self.place(a) < self.place(b) { self.place(a) } else { self.place(b) };
            cells.push((self.height(e), 1, low, vec![a, b]));
        }
        cells.sort_by(|a, b| (a.0, a.1, a.2).partial_cmp(&(b.0, b.1, b.2)).unwrap());
        let at = |v: u32| cells.iter().position(|cell| cell.1 == 0 && cell.2.1 == v).unwrap();
        let mut columns: Vec<Vec<usize>> = cells
            .iter()
            .map(|cell| {
                let mut column: Vec<usize> = cell.3.iter().map(|&v| at(v)).collect();
                column.sort_unstable();
                column
            })
            .collect();
        let mut killer: Vec<Option<usize>> = vec![None; cells.len()];
        for j in 0..columns.len() {
            while let Some(&pivot) = columns[j].last() {
                let Some(i) = killer[pivot] else {
                    killer[pivot] = Some(j);
                    break;
                };
                let other: Vec<usize> = columns[i].clone();
                let kept: Vec<usize> = columns[j].iter().copied().filter(|x| !other.contains(x)).collect();
                let added = other.iter().copied().filter(|x| !columns[j].contains(x));
                let mut sum: Vec<usize> = kept.into_iter().chain(added).collect();
                sum.sort_unstable();
                columns[j] = sum;
            }
        }
        let mut pairs: Vec<Pair> = Vec::new();
        for (i, cell) in cells.iter().enumerate().filter(|&(i, _)| columns[i].is_empty()) {
            let birth = cell.0.1 as u64;
            let death = killer[i].map(|j| cells[j].0);
            let elder = death.map(|death| self.eldest(birth as u32, death));
            if death.is_none_or(|death| death.1 as u64 != birth) {
                pairs.push(Pair { degree: cell.1, birth, death: death.map(|d| d.1 as u64), elder });
            }
        }
        pairs.sort();
        pairs
    }

    /// The eldest vertex that a vertex is joined to by edges up to a place.
    fn eldest(&self, from: u32, place: (f64, usize)) -> u64 {
        let mut seen = vec![from];
        let mut i = 0;
        while let Some(&v) = seen.get(i) {
            for e in self.rows().into_iter().filter(|&e| self.height(e) <= place) {
                let [a, b] = self.edges[e];
                let other = if a == v { b } else { a };
                if (a == v || b == v) && !seen.contains(&other) {
                    seen.push(other);
                }
            }
            i += 1;
        }
        seen.into_iter().min_by(|&a, &b| self.place(a).partial_cmp(&self.place(b)).unwrap()).unwrap().into()
    }

    fn place(&self, v: u32) -> (f64, u32) {
        (self.values[v as usize], v)
    }

    /// The lowest maximum over all routes.
    fn minimax(&self) -> Vec<Vec<f64>> {
        let n = self.values.len();
        let mut d = vec![vec![f64::INFINITY; n]; n];
        (0..n).for_each(|v| d[v][v] = self.values[v]);
        for e in self.rows() {
            let [a, b] = self.edges[e].map(|v| v as usize);
            (d[a][b], d[b][a]) = (self.height(e).0, self.height(e).0);
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

    /// ToMATo's labels: vertices from the lowest up; each joins its lowest neighbour's cluster, then joins to that one the
    /// clusters of its other lower neighbours where the younger of the two is less prominent than `shortest`.
    fn tomato(&self, shortest: f64) -> Vec<i64> {
        let n = self.values.len() as u32;
        let mut order: Vec<u32> = (0..n).filter(|&v| self.values[v as usize].is_finite()).collect();
        order.sort_by(|&a, &b| self.place(a).partial_cmp(&self.place(b)).unwrap());
        let mut label: Vec<i64> = vec![-1; n as usize];
        for (i, &v) in order.iter().enumerate() {
            label[v as usize] = v.into();
            let is_neighbour = |u: &&u32| self.edges.contains(&[v, **u]) || self.edges.contains(&[**u, v]);
            for (seen, &u) in order[..i].iter().filter(is_neighbour).enumerate() {
                let (a, b) = (label[v as usize], label[u as usize]);
                let (elder, young) = if self.place(a as u32) < self.place(b as u32) { (a, b) } else { (b, a) };
                if seen == 0 || self.values[v as usize] - self.values[young as usize] < shortest {
                    label.iter_mut().filter(|label| **label == young).for_each(|label| *label = elder);
                }
            }
        }
        label
    }
}

fn graphs() -> impl Strategy<Value = Plain> {
    (1_usize..10).prop_flat_map(|n| {
        let value = prop_oneof![9 => (0_u8..6).prop_map(f64::from), 1 => Just(f64::INFINITY), 1 => Just(-0.0)];
        let edge = [0..n as u32, 0..n as u32];
        let own = prop::option::of(prop::collection::vec(prop_oneof![(0_u8..9).prop_map(f64::from)], 24));
        let edges = prop::collection::vec(edge, 0..24);
        (prop::collection::vec(value, n), edges, own).prop_map(|(values, edges, own)| {
            let own = own.map(|own| own[..edges.len()].to_vec());
            Plain { values, edges, own }
        })
    })
}

const ALL: Wanted = Wanted { degree_1: true, zero_length: true, shortest: 0.0, cycles: true };

fn pairs(graph: &Graph, wanted: Wanted) -> Vec<Pair> {
    let mut pairs = canonical(&graph.forest(&Pool::new(1)), wanted).pairs;
    pairs.sort();
    pairs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pairs_are_those_of_the_boundary_matrix(plain in graphs(), superlevel: bool) {
        prop_assert_eq!(pairs(&plain.graph(superlevel), ALL), plain.reduced());
    }

    #[test]
    fn a_path_is_as_low_as_the_minimax(plain in graphs(), a: u32, b: u32) {
        let n = plain.values.len() as u32;
        let (a, b) = (a % n, b % n);
        let graph = plain.graph(false);
        let lowest = plain.minimax()[a as usize][b as usize];
        match graph.forest(&Pool::new(1)).path(a, b) {
            None => prop_assert_eq!(lowest, f64::INFINITY),
            Some(path) => {
                prop_assert_eq!(graph.value(path.top), lowest);
                prop_assert_eq!((path.vertices.first(), path.vertices.last()), (Some(&a), Some(&b)));
                let mut distinct = path.vertices.clone();
                distinct.sort_unstable();
                distinct.dedup();
                prop_assert_eq!(distinct.len(), path.vertices.len());
                let rows = plain.rows();
                let step = |step: &[u32]| {
                    let of_step = |e: &&usize| plain.edges[**e] == [step[0], step[1]] || plain.edges[**e] == [step[1], step[0]];
                    plain.height(*rows.iter().find(of_step).unwrap()).0
                };
                let highest = path.vertices.windows(2).map(step).fold(plain.values[a as usize], f64::max);
                prop_assert_eq!(highest, lowest);
            }
        }
    }

    #[test]
    fn representatives_lie_on_the_bars_they_represent(plain in graphs()) {
        let graph = plain.graph(false);
        let found = canonical(&graph.forest(&Pool::new(1)), ALL);
        prop_assert_eq!(found.pairs.len(), found.cycles.len());
        let rows = plain.rows();
        let row = |a: u32, b: u32| rows.iter().copied().find(|&e| plain.edges[e] == [a, b] || plain.edges[e] == [b, a]);
        for (pair, cycle) in found.pairs.iter().zip(&found.cycles) {
            let edges: Vec<(f64, usize)> = match pair.degree {
                0 => cycle.windows(2).map(|step| plain.height(row(step[0][0], step[1][0]).unwrap())).collect(),
                _ => cycle.iter().map(|edge| plain.height(row(edge[0], edge[1]).unwrap())).collect(),
            };
            let highest = edges.iter().copied().max_by(|a, b| a.partial_cmp(b).unwrap()).map(|(_, cell)| cell as u64);
            if pair.degree == 0 {
                prop_assert_eq!(highest, pair.death);
                let ends = (cycle.first().map(|v| v[0].into()), cycle.last().map(|v| v[0].into()));
                prop_assert_eq!(ends, (pair.elder.map(|_| pair.birth), pair.elder));
            } else {
                // Closed: every vertex has an even number of its edges. Born at its last edge.
                prop_assert!(cycle.iter().flatten().all(|v| cycle.iter().flatten().filter(|w| *w == v).count() == 2));
                prop_assert_eq!(highest, Some(pair.birth));
            }
        }
    }

    #[test]
    fn edges_may_come_in_any_order_and_direction(plain in graphs(), seed: u64) {
        let mut mixed = Plain { own: None, ..plain.clone() };
        let expected = pairs(&mixed.graph(false), ALL);
        let m = mixed.edges.len();
        let turned: Vec<[u32; 2]> = mixed.edges.iter().map(|&[a, b]| [b, a]).collect();
        mixed.edges.extend(turned.iter().take(seed as usize % (m + 1)));
        mixed.edges.sort_by_key(|edge| seed.wrapping_mul(u64::from(edge[0] * 31 + edge[1]) + 7).rotate_left(9));
        prop_assert_eq!(pairs(&mixed.graph(false), ALL), expected);
    }

    #[test]
    fn names_of_vertices_do_not_matter(plain in graphs(), seed: u64) {
        // Distinct values: ties are broken by name.
        let value = |(v, x): (usize, &f64)| x + v as f64 / 100.0;
        let plain = Plain { values: plain.values.iter().enumerate().map(value).collect(), ..plain };
        let n = plain.values.len();
        let mut name: Vec<usize> = (0..n).collect();
        name.sort_by_key(|&v| seed.wrapping_mul(v as u64 + 3).rotate_left(17));
        let mut other = plain.clone();
        (0..n).for_each(|v| other.values[name[v]] = plain.values[v]);
        other.edges.iter_mut().flatten().for_each(|end| *end = name[*end as usize] as u32);
        let named = |cell: u64| name.get(cell as usize).map_or(cell, |&v| v as u64);
        let mut expected: Vec<Pair> = pairs(&plain.graph(false), ALL)
            .into_iter()
            .map(|p| Pair { birth: named(p.birth), death: p.death.map(named), elder: p.elder.map(named), ..p })
            .collect();
        expected.sort();
        prop_assert_eq!(pairs(&other.graph(false), ALL), expected);
    }

    #[test]
    fn labels_are_those_of_tomato(plain in graphs(), shortest in 0_u8..7, superlevel: bool) {
        let plain = Plain { own: None, ..plain };
        let forest = plain.graph(superlevel);
        let labels = forest.forest(&Pool::new(1)).labels(shortest.into());
        prop_assert_eq!(labels, plain.tomato(shortest.into()));
    }

    #[test]
    fn survivors_are_the_births_of_bars_that_are_long_enough(plain in graphs(), shortest in 0_u8..9) {
        let graph = plain.graph(false);
        let forest = graph.forest(&Pool::new(1));
        let wanted = Wanted { zero_length: true, shortest: shortest.into(), ..Wanted::default() };
        let long = canonical(&forest, wanted).pairs;
        let mut births: Vec<i64> = long.iter().map(|pair| pair.birth as i64).collect();
        births.sort_unstable();
        let mut labels = forest.labels(shortest.into());
        labels.retain(|&label| label >= 0);
        labels.sort_unstable();
        labels.dedup();
        prop_assert_eq!(&labels, &births);
        // And what swallows them is among them: they are a tree.
        prop_assert!(long.iter().filter_map(|pair| pair.elder).all(|elder| births.contains(&(elder as i64))));
    }

    #[test]
    fn threads_change_nothing(n in 1_usize..300, m in 0_usize..900, seed: u64, own: bool) {
        let random = |i: usize| (seed | 1).wrapping_mul(i as u64 ^ 0x9e37_79b9).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33;
        let plain = Plain {
            values: (0..n).map(|v| (random(v) % 40) as f64).collect(),
            edges: (0..m).map(|e| [random(n + 2 * e) as u32 % n as u32, random(n + 2 * e + 1) as u32 % n as u32]).collect(),
            own: own.then(|| (0..m).map(|e| (random(e + 7) % 80) as f64).collect()),
        };
        let graph = plain.graph(false);
        let all = |threads: usize| {
            let pool = Pool::new(threads);
            let forest = graph.forest(&pool);
            (canonical(&forest, ALL), forest.labels(3.0), forest.path(0, n as u32 - 1), forest.passes().to_vec())
        };
        let one = all(1);
        prop_assert_eq!(&all(2), &one);
        prop_assert_eq!(&all(5), &one);
    }
}

#[test]
fn integers_are_compared_as_integers() {
    // The three values are one as f64.
    let big = 1_i64 << 60;
    for (values, superlevel) in [(vec![big + 1, big + 2, big], false), (vec![big + 1, big, big + 2], true)] {
        let graph = Graph::new(values.into(), vec![[0, 1], [1, 2]], None, superlevel).unwrap();
        let pair = |birth, death, elder| Pair { degree: 0, birth, death, elder };
        assert_eq!(pairs(&graph, Wanted::default()), [pair(0, Some(1), Some(2)), pair(2, None, None)]);
    }
}

#[test]
fn edges_of_a_value_of_their_own_are_cells_behind_the_vertices() {
    let plain = Plain { values: vec![0.0, 1.0], edges: vec![[0, 1], [1, 0], [1, 1]], own: Some(vec![5.0, 3.0, 9.0]) };
    let graph = plain.graph(false);
    let pair = |birth, death, elder| Pair { degree: 0, birth, death, elder };
    assert_eq!(pairs(&graph, ALL), [pair(0, None, None), pair(1, Some(3), Some(0))]);
    assert_eq!(graph.value(3), 3.0);
    // Below its ends it acts at the higher one, whatever the types.
    let graph = Graph::new(vec![0_u8, 1].into(), vec![[0, 1]], Some(vec![-7_i32].into()), false).unwrap();
    assert_eq!(pairs(&graph, ALL), [pair(0, None, None)]);
}

#[test]
fn what_may_surprise_is_counted() {
    let edges = vec![[0, 1], [1, 0], [2, 2], [0, 1], [3, 0]];
    let graph = Graph::new(vec![0.0, 1.0, 2.0, f64::INFINITY].into(), edges, None, false).unwrap();
    assert_eq!(graph.oddities(), Oddities { loops: 1, repeats: 2, isolated: 1, absent: 1 });
}

#[test]
fn bad_input_is_one_clear_line() {
    let array = |shape: &[usize], values: Values| Array { shape: shape.to_vec(), values };
    let refused = |values: Array, edges: Array, own: Option<Array>, superlevel| {
        Graph::of_arrays(values, edges, own, superlevel).unwrap_err().to_string()
    };
    let floats = |values: &[f64]| array(&[values.len()], values.to_vec().into());
    let none = || array(&[0, 2], Vec::<i64>::new().into());
    let edge = |a: i64, b: i64| array(&[1, 2], vec![a, b].into());
    let of_values = |values: &[f64], superlevel| refused(floats(values), none(), None, superlevel);
    assert_eq!(of_values(&[], false), "there are no values: a graph needs at least one vertex");
    assert!(of_values(&[1.0, f64::NAN], false).starts_with("the value of vertex 1 is NaN"));
    assert!(of_values(&[f64::NEG_INFINITY], false).starts_with("the value of vertex 0 is -inf"));
    assert!(of_values(&[f64::INFINITY], true).starts_with("the value of vertex 0 is inf"));
    assert_eq!(refused(floats(&[1.0]), edge(0, -1), None, false), "edge 0 joins 0 and -1: the vertices are 0 to 0");
    assert_eq!(refused(floats(&[]), edge(0, 1), None, false), "there are no values: a graph needs at least one vertex");
    let own = Some(floats(&[1.0, 2.0]));
    assert_eq!(
        refused(floats(&[1.0]), edge(0, 0), own, false),
        "there are 1 edges but 2 edge values: one for each is needed"
    );
    assert!(
        refused(floats(&[1.0]), edge(0, 0), Some(floats(&[f64::NAN])), false).starts_with("the value of edge 0 is")
    );
    assert!(refused(floats(&[1.0]), floats(&[0.0]), None, false).starts_with("the edges have shape [1]"));
    let floating = array(&[1, 2], vec![0.0_f32, 0.0].into());
    assert!(refused(floats(&[1.0]), floating, None, false).starts_with("the edges are floating-point"));
    let integers = Some(array(&[1], vec![1_i32].into()));
    assert!(refused(floats(&[1.0]), edge(0, 0), integers, false).contains("cannot be compared exactly"));
    let matrix = array(&[1, 1], vec![0.0].into());
    assert!(refused(matrix, none(), None, false).starts_with("the values have shape [1, 1]"));
}
