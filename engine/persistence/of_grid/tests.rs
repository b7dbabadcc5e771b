//! Both roads against a third: the whole boundary matrix of the cubical complex, reduced column by column.

use super::*;
use crate::morse::grid::Sampling;
use crate::npy::{Array, Values};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The pairs of a grid by the textbook: all cells, sorted by (place of their sample, dimension), one dense column each.
fn textbook(grid: &Grid) -> Vec<Pair> {
    let shape = &grid.shape;
    let n = shape.axes();
    let order = |sample: usize| match grid.keys() {
        crate::morse::levels::Keys::Narrow(keys) => (keys[sample].wide(), sample),
        crate::morse::levels::Keys::Wide(keys) => (keys[sample], sample),
    };
    // Cells by doubled coordinates. In V samples are even and cells span odd ones; in T samples are odd.
    let top = grid.construction == Construction::TopCell;
    let ends: Vec<usize> = (0..n)
        .map(|axis| match (shape.periodic[axis], top) {
            (true, _) => 2 * shape.sizes[axis],
            (false, false) => 2 * shape.sizes[axis] - 1,
            (false, true) => 2 * shape.sizes[axis] + 1,
        })
        .collect();
    let count: usize = ends.iter().product();
    let coordinates = |mut cell: usize| {
        let mut x = vec![0; n];
        for axis in (0..n).rev() {
            x[axis] = cell % ends[axis];
            cell /= ends[axis];
        }
        x
    };
    let index = |x: &[usize]| x.iter().zip(&ends).fold(0, |index, (x, end)| index * end + x);
    let dim = |x: &[usize]| x.iter().filter(|&&x| x % 2 == 1).count();
    // The samples of a cell: all ways to round the coordinates that are no sample's.
    let samples = |x: &[usize]| {
        let mut all = vec![0];
        for axis in 0..n {
            let own = usize::from(top);
            let choices: Vec<usize> = if x[axis] % 2 == own {
                vec![x[axis] / 2]
            } else {
                let (below, above) = (x[axis].checked_sub(1), x[axis] + 1);
                let wrap =
                    |x: usize| if shape.periodic[axis] { Some(x % ends[axis]) } else { (x < ends[axis]).then_some(x) };
                let below = below.or(shape.periodic[axis].then(|| ends[axis] - 1));
                [below, wrap(above)].into_iter().flatten().map(|x| x / 2).collect()
            };
            all = all.iter().flat_map(|s| choices.iter().map(move |c| s * shape.sizes[axis] + c)).collect();
        }
        all
    };
    let absent = |key: u64| grid.absent() == Some(key);
    let mut cells: Vec<((u64, usize), usize, usize)> = (0..count)
        .map(|cell| {
            let x = coordinates(cell);
            let owners = samples(&x).into_iter().map(order);
            (if top { owners.min() } else { owners.max() }.unwrap(), dim(&x), cell)
        })
        .filter(|cell| !absent(cell.0.0))
        .collect();
    cells.sort_unstable();
    let place: BTreeMap<usize, usize> = cells.iter().enumerate().map(|(place, cell)| (cell.2, place)).collect();
    let boundary = |cell: usize| {
        let x = coordinates(cell);
        let mut column: Vec<usize> = Vec::new();
        for axis in (0..n).filter(|&axis| x[axis] % 2 == 1) {
            for side in [x[axis] - 1, (x[axis] + 1) % ends[axis]] {
                let mut facet = x.clone();
                facet[axis] = side;
                column.push(place[&index(&facet)]);
            }
        }
        column.sort_unstable();
        column
    };
    let mut low: BTreeMap<usize, (usize, Vec<usize>)> = BTreeMap::new();
    let mut positive = vec![true; cells.len()];
    for (j, cell) in cells.iter().enumerate() {
        let mut column = boundary(cell.2);
        while let Some(last) = column.last() {
            let Some((_, earlier)) = low.get(last) else { break };
            let both: Vec<usize> = column.iter().filter(|i| !earlier.contains(i)).copied().collect();
            let new = earlier.iter().filter(|i| !column.contains(i)).copied();
            column = both.into_iter().chain(new).collect();
            column.sort_unstable();
        }
        if let Some(&last) = column.last() {
            positive[j] = false;
            low.insert(last, (j, column));
        }
    }
    let mut pairs: Vec<Pair> = (0..cells.len())
        .filter(|&i| positive[i])
        .map(|i| {
            let death = low.get(&i).map(|(j, _)| cells[*j].0.1 as u64);
            Pair { degree: cells[i].1 as u32, birth: cells[i].0.1 as u64, death, elder: None }
        })
        .filter(|pair| pair.death != Some(pair.birth))
        .collect();
    pairs.sort_unstable();
    pairs
}

fn pairs(grid: &Grid, wanted: Wanted) -> Vec<Pair> {
    let found = canonical(grid, Wanted { zero_length: true, ..wanted }, &Pool::new(2)).pairs;
    let mut pairs: Vec<Pair> = found.into_iter().map(|pair| Pair { elder: None, ..pair }).collect();
    pairs.sort_unstable();
    pairs
}

#[derive(Clone, Debug)]
struct Case {
    sizes: Vec<usize>,
    periodic: Vec<usize>,
    top: bool,
    superlevel: bool,
    values: Vec<f32>,
}

impl Case {
    fn grid(&self) -> Grid {
        let array = Array { shape: self.sizes.clone(), values: self.values.clone().into() };
        let construction = if self.top { Construction::TopCell } else { Construction::Vertex };
        let (periodic, superlevel) = (&self.periodic[..], self.superlevel);
        Grid::new(array, Sampling { periodic, construction, superlevel, max_degree: None }).unwrap()
    }
}

/// Small grids of every kind, with ties; some samples are in no sublevel set.
fn case() -> impl Strategy<Value = Case> {
    let sizes = prop_oneof![
        prop::collection::vec(1_usize..40, 1),
        prop::collection::vec(1_usize..8, 2),
        prop::collection::vec(1_usize..5, 3),
        prop::collection::vec(1_usize..4, 4),
    ];
    let shape = (sizes, prop::collection::vec(any::<bool>(), 4), any::<bool>(), any::<bool>(), 0_u8..3);
    shape.prop_flat_map(|(sizes, closed, top, superlevel, holes)| {
        let count: usize = sizes.iter().product();
        let closes = |axis: &usize| closed[*axis] && holes != 1 && sizes[*axis] >= 3;
        let periodic: Vec<usize> = (0..sizes.len()).filter(closes).collect();
        let infinity = if superlevel { f32::NEG_INFINITY } else { f32::INFINITY };
        let value = (0_i8..12).prop_map(move |v| if v == 11 && holes > 0 { infinity } else { f32::from(v - 4) });
        prop::collection::vec(value, count).prop_map(move |values| Case {
            sizes: sizes.clone(),
            periodic: periodic.clone(),
            top,
            superlevel,
            values,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn union_find_duality_and_reduction_find_the_pairs_of_the_whole_matrix(case in case()) {
        let grid = case.grid();
        let known = textbook(&grid);
        prop_assert_eq!(&pairs(&grid, Wanted::default()), &known, "by union-find and duality");
        let reduction = Wanted { reduction: true, ..Wanted::default() };
        prop_assert_eq!(&pairs(&grid, reduction), &known, "by reduction");
        for max_degree in 0..case.sizes.len() {
            let upto: Vec<Pair> = known.iter().filter(|pair| pair.degree as usize <= max_degree).copied().collect();
            prop_assert_eq!(pairs(&grid, Wanted { max_degree, ..Wanted::default() }), upto, "up to {}", max_degree);
        }
    }
}

/// Deaths, births and elders of components, sample after sample.
fn swept(grid: &Grid) -> Vec<(u64, u64, u64)> {
    let shape = &grid.shape;
    let key = |sample: usize| match grid.keys() {
        crate::morse::levels::Keys::Narrow(keys) => keys[sample].wide(),
        crate::morse::levels::Keys::Wide(keys) => keys[sample],
    };
    let mut samples: Vec<usize> = (0..shape.count()).filter(|&sample| grid.absent() != Some(key(sample))).collect();
    samples.sort_by_key(|&sample| (key(sample), sample));
    // The component of every sample so far, by its first sample, which is the least place.
    let mut component: BTreeMap<usize, usize> = BTreeMap::new();
    let mut deaths = Vec::new();
    for sample in samples {
        let mut reach = vec![sample];
        for axis in 0..shape.axes() {
            let from = if grid.construction == Construction::TopCell { reach.clone() } else { vec![sample] };
            reach.extend(from.iter().flat_map(|&from| [-1, 1].map(|step| shape.step(from, axis, step))).flatten());
        }
        component.insert(sample, sample);
        let mut met: Vec<usize> = reach.iter().filter_map(|near| component.get(near).copied()).collect();
        met.sort_by_key(|&first| (key(first), first));
        met.dedup();
        let dead = met[1..].iter().filter(|&&first| first != sample);
        deaths.extend(dead.map(|&first| (sample as u64, first as u64, met[0] as u64)));
        component.values_mut().filter(|first| met.contains(first)).for_each(|first| *first = met[0]);
    }
    deaths.sort_unstable();
    deaths
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn components_end_in_the_eldest_that_meets_them_for_any_number_of_threads(case in case()) {
        let grid = case.grid();
        let wanted = Wanted { zero_length: true, max_degree: 0, ..Wanted::default() };
        let found = canonical(&grid, wanted, &Pool::new(1)).pairs;
        let mut deaths: Vec<_> = found.iter().filter_map(|pair| Some((pair.death?, pair.birth, pair.elder?))).collect();
        deaths.sort_unstable();
        prop_assert_eq!(deaths, swept(&grid));
        prop_assert_eq!(canonical(&grid, wanted, &Pool::new(3)).pairs, found);
    }
}

#[test]
fn the_torus_is_a_perfect_morse_function() {
    // sum cos x_i: C(n, k) classes of degree k, none of which ends.
    for n in 1..=3_usize {
        let count = 6_usize.pow(n as u32);
        let value =
            |i: usize| (0..n).map(|axis| (i / 6_usize.pow(axis as u32) % 6) as f64).map(|x| (x * 1.047).cos()).sum();
        let array = Array { shape: vec![6; n], values: Values::F64((0..count).map(value).collect()) };
        let axes: Vec<usize> = (0..n).collect();
        let grid = Grid::new(array, Sampling { periodic: &axes, ..Sampling::default() }).unwrap();
        let found = canonical(&grid, Wanted::default(), &Pool::new(1)).pairs;
        let degrees: Vec<usize> =
            (0..=n).map(|k| found.iter().filter(|pair| pair.degree as usize == k).count()).collect();
        assert_eq!(degrees, [vec![1, 1], vec![1, 2, 1], vec![1, 3, 3, 1]][n - 1]);
        assert!(found.iter().all(|pair| pair.death.is_none()));
    }
}

proptest! {
    #[test]
    fn every_bar_has_a_cycle_that_is_born_with_it(case in case()) {
        let grid = case.grid();
        let found = canonical(&grid, Wanted { cycles: true, ..Wanted::default() }, &Pool::new(1));
        let order = |sample: u32| {
            let value = grid.value(u64::from(sample));
            (if case.superlevel { -value } else { value } + 0.0, sample)
        };
        let later = |a: u32, b: u32| if order(a) < order(b) { b } else { a };
        for (pair, cycle) in found.pairs.iter().zip(&found.cycles) {
            let Some(death) = pair.death else { continue };
            prop_assert!(!cycle.is_empty(), "{pair:?}");
            let last = cycle.iter().map(|cell| {
                let samples = cell.iter().copied();
                if case.top { samples.reduce(|a, b| if order(a) < order(b) { a } else { b }) } else { samples.reduce(later) }
            });
            let last = last.flatten().reduce(later).map(u64::from);
            prop_assert_eq!(last, Some(if pair.degree == 0 { death } else { pair.birth }), "{:?}", pair);
            if pair.degree == 1 && !case.top {
                // Every vertex is the end of an even number of edges.
                let mut ends: Vec<u32> = cycle.concat();
                ends.sort_unstable();
                prop_assert!(ends.chunk_by(|a, b| a == b).all(|run| run.len() % 2 == 0), "{pair:?}: {cycle:?}");
            }
            if pair.degree == 0 {
                let beside = |a: u32, b: u32| (0..case.sizes.len()).filter(|&axis| {
                    let at = |sample: u32| sample as usize / grid.shape.strides[axis] % case.sizes[axis];
                    at(a) != at(b)
                }).count();
                prop_assert!(cycle.windows(2).all(|two| beside(two[0][0], two[1][0]) == 1 || case.top), "{cycle:?}");
            }
        }
    }
}
