//! Axes in another order, by transpositions that ONNX Runtime is quick at.

use super::operators::Writer;

impl Writer<'_> {
    /// `x` of a shape with its axes in another order. ONNX Runtime is quick where one axis moves, and slow where several do:
    /// axes that stay side by side become one, and three that are reversed move one after the other.
    pub fn permuted(&mut self, x: String, shape: &[usize], perm: &[usize]) -> String {
        let (sizes, order) = merged(shape, perm);
        if moves_one(perm) || !(moves_one(&order) || order == [2, 1, 0]) {
            return self.turn(x, perm);
        }
        let ends: Vec<usize> = perm.iter().map(|axis| shape[*axis]).collect();
        let mut x = self.reshape(x, &sizes);
        if let (&[a, b, c], true) = (&sizes[..], order == [2, 1, 0]) {
            x = self.reshape(x, &[a, b * c]);
            x = self.turn(x, &[1, 0]);
            x = self.reshape(x, &[b, c, a]);
            x = self.turn(x, &[1, 0, 2]);
        } else {
            x = self.turn(x, &order);
        }
        self.reshape(x, &ends)
    }
}

/// Whether one axis moves and the others stay in order.
fn moves_one(perm: &[usize]) -> bool {
    (0..perm.len()).any(|k| [&perm[..k], &perm[k + 1..]].concat().is_sorted())
}

/// The same transposition with axes that stay side by side as one.
fn merged(shape: &[usize], perm: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let is_new = |k: usize| k == 0 || perm[k] != perm[k - 1] + 1;
    let firsts: Vec<usize> = (0..perm.len()).filter(|k| is_new(*k)).map(|k| perm[k]).collect();
    let mut sorted = firsts.clone();
    sorted.sort_unstable();
    let end = |first: &usize| *sorted.iter().find(|next| *next > first).unwrap_or(&shape.len());
    let sizes = sorted.iter().map(|first| shape[*first..end(first)].iter().product()).collect();
    (sizes, firsts.iter().map(|first| sorted.partition_point(|of| of < first)).collect())
}
