//! Bars that all share one end, as those of degree 0 where everything is born at once: points of a line.
//!
//! There some optimal matching does not cross. Let x <= y be matched, crosswise, with v >= u: as t^q is convex for q >= 1,
//! |x - u|^q + |y - v|^q <= |x - v|^q + |y - u|^q, so uncrossing costs nothing. It leaves everybody matched who was, so
//! what being alone costs stays too, whatever that is; and it takes crossings away, so it comes to an end. The best
//! matching without crossings is an alignment of two sequences (Needleman and Wunsch 1970).

use super::market::Market;

/// More pairs than this are left to the auction: the way back through the table takes a quarter of a byte each.
const MOST_PAIRS: usize = 1 << 29;

/// Who is dealt with last, in a cell of the table.
#[derive(Clone, Copy)]
enum Step {
    AloneA = 0,
    AloneB = 1,
    Pair = 2,
}

/// Makes the matching optimal if all bars of both sides, which are sorted, share one end; says whether they do. Time
/// and memory are O(n m), with small factors.
pub fn align(market: &mut Market) -> bool {
    let [a, b] = &market.sides;
    let (n, m) = (a.points.len(), b.points.len());
    let share = |end: usize| {
        let mut ends = a.points.iter().chain(&b.points).map(|p| p[end]);
        ends.next().is_none_or(|first| ends.all(|x| x == first))
    };
    if n.saturating_mul(m) > MOST_PAIRS || !(share(0) || share(1)) {
        return false;
    }
    let steps = table(market);
    let [a, b] = &mut market.sides;
    [&mut *a, &mut *b].into_iter().for_each(|side| side.mate.fill(None));
    let (mut i, mut j) = (n, m);
    while i > 0 && j > 0 {
        match steps.get(i - 1, j - 1) {
            Step::AloneA => i -= 1,
            Step::AloneB => j -= 1,
            Step::Pair => {
                (i, j) = (i - 1, j - 1);
                (a.mate[i], b.mate[j]) = (Some(j as u32), Some(i as u32));
            }
        }
    }
    true
}

/// The last step of the best way to deal with the first i + 1 bars of side 0 and j + 1 of side 1, for all i and j.
fn table(market: &Market) -> Steps {
    let [a, b] = &market.sides;
    let mut steps = Steps::new(a.points.len(), b.points.len());
    // What the first i bars of side 0 and the first j of side 1 cost, a row for each i.
    let mut row = vec![0.0; b.points.len() + 1];
    (0..b.points.len()).for_each(|j| row[j + 1] = row[j] + b.alone[j]);
    let (cost, ground) = (market.cost, market.cost.ground);
    let alone: Vec<f64> = b.points.iter().map(|&to| ground.alone(to)).collect();
    for (i, &from) in a.points.iter().enumerate() {
        let mut before = row[0]; // Of the row above, one to the left.
        row[0] += a.alone[i];
        let mut left = row[0];
        for (j, &to) in b.points.iter().enumerate() {
            let above = row[j + 1];
            let (mut best, mut step) = (above + a.alone[i], Step::AloneA);
            if left + b.alone[j] < best {
                (best, step) = (left + b.alone[j], Step::AloneB);
            }
            // Two that are further apart than both from the diagonal are not matched.
            let distance = ground.between(from, to);
            if distance < ground.alone(from) + alone[j] {
                let pair = before + cost.of(distance);
                if pair < best {
                    (best, step) = (pair, Step::Pair);
                }
            }
            steps.set(i, j, step);
            (before, left, row[j + 1]) = (above, best, best);
        }
    }
    steps
}

/// A step for each pair of bars, four in a byte.
struct Steps {
    columns: usize,
    packed: Vec<u8>,
}

impl Steps {
    /// Everybody of side 0 alone.
    fn new(rows: usize, columns: usize) -> Steps {
        Steps { columns, packed: vec![0; (rows * columns).div_ceil(4)] }
    }

    fn place(&self, i: usize, j: usize) -> (usize, usize) {
        let at = i * self.columns + j;
        (at / 4, 2 * (at % 4))
    }

    /// Is called once for each pair.
    fn set(&mut self, i: usize, j: usize, step: Step) {
        let (byte, shift) = self.place(i, j);
        self.packed[byte] |= (step as u8) << shift;
    }

    fn get(&self, i: usize, j: usize) -> Step {
        let (byte, shift) = self.place(i, j);
        match self.packed[byte] >> shift & 3 {
            0 => Step::AloneA,
            1 => Step::AloneB,
            _ => Step::Pair,
        }
    }
}
