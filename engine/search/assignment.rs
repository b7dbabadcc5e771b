//! The assignment problem: which column to give to which row, at the least total cost.

/// The assignment of least total cost: for every row its column. Shortest augmenting paths, O(n^3)
/// (Jonker and Volgenant 1987).
pub fn assignment(cost: &[f64], n: usize) -> Vec<usize> {
    const FREE: usize = usize::MAX;
    let (mut row_price, mut column_price) = (vec![0.0; n], vec![0.0; n]);
    let mut row_of = vec![FREE; n];
    for new_row in 0..n {
        let mut reach = vec![f64::INFINITY; n];
        let mut from = vec![FREE; n];
        let mut settled = vec![false; n];
        let (mut row, mut column, mut length) = (new_row, FREE, 0.0);
        let free = loop {
            let (mut nearest, mut least) = (FREE, f64::INFINITY);
            for j in (0..n).filter(|&j| !settled[j]) {
                let through = length + cost[row * n + j] - row_price[row] - column_price[j];
                if through < reach[j] {
                    reach[j] = through;
                    from[j] = column;
                }
                if reach[j] < least || nearest == FREE {
                    (nearest, least) = (j, reach[j]);
                }
            }
            settled[nearest] = true;
            (column, length) = (nearest, least);
            match row_of[column] {
                FREE => break column,
                next => row = next,
            }
        };
        row_price[new_row] += length;
        for j in (0..n).filter(|&j| settled[j] && j != free) {
            column_price[j] -= length - reach[j];
            row_price[row_of[j]] += length - reach[j];
        }
        let mut j = free;
        while j != FREE {
            let previous = from[j];
            row_of[j] = if previous == FREE { new_row } else { row_of[previous] };
            j = previous;
        }
    }
    let mut column_of = vec![FREE; n];
    row_of.iter().enumerate().for_each(|(j, &i)| column_of[i] = j);
    column_of
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cheapest_by_enumeration(cost: &[f64], n: usize) -> f64 {
        fn go(cost: &[f64], n: usize, row: usize, used: &mut Vec<bool>) -> f64 {
            if row == n {
                return 0.0;
            }
            let mut best = f64::INFINITY;
            for j in 0..n {
                if !used[j] {
                    used[j] = true;
                    best = best.min(cost[row * n + j] + go(cost, n, row + 1, used));
                    used[j] = false;
                }
            }
            best
        }
        go(cost, n, 0, &mut vec![false; n])
    }

    proptest! {
        #[test]
        fn the_assignment_is_the_cheapest(n in 1usize..7, values in prop::collection::vec(-5.0f64..5.0, 36)) {
            let cost = &values[..n * n];
            let columns = assignment(cost, n);
            let total: f64 = columns.iter().enumerate().map(|(i, &j)| cost[i * n + j]).sum();
            prop_assert!((total - cheapest_by_enumeration(cost, n)).abs() < 1e-9);
        }
    }
}
