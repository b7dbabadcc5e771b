//! Where the numbers of an array stand: most arrays that only move elements are never computed, they are seen.

/// What holds numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Input(usize),
    Theta,
    Direction,
    Constant(usize),
    /// What an earlier step wrote.
    Value(usize),
}

/// An array inside a place: element i stands at `offset + sum strides[axis] i[axis]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    pub place: Place,
    pub offset: usize,
    pub strides: Vec<isize>,
}

impl View {
    /// A whole array in C order.
    pub(crate) fn dense(place: Place, offset: usize, shape: &[usize]) -> View {
        View { place, offset, strides: steps(shape) }
    }

    /// Whether the elements stand one after the other in C order.
    pub(crate) fn is_dense(&self, shape: &[usize]) -> bool {
        self.strides.iter().zip(steps(shape)).zip(shape).all(|((have, want), size)| *size == 1 || *have == want)
    }

    /// Whether all elements are one.
    pub(crate) fn is_uniform(&self, shape: &[usize]) -> bool {
        self.strides.iter().zip(shape).all(|(stride, size)| *size == 1 || *stride == 0)
    }

    /// The same elements in another shape, if that is a view too.
    pub(crate) fn reshaped(&self, from: &[usize], to: &[usize]) -> Option<View> {
        let View { place, offset, .. } = *self;
        if self.is_dense(from) {
            return Some(View::dense(place, offset, to));
        }
        if self.is_uniform(from) {
            return Some(View { place, offset, strides: vec![0; to.len()] });
        }
        // Axes of size 1 come and go.
        let long = |shape: &[usize]| shape.iter().copied().filter(|size| *size > 1).collect::<Vec<usize>>();
        if long(from) != long(to) {
            return None;
        }
        let mut kept = self.strides.iter().zip(from).filter(|(_, size)| **size > 1).map(|(stride, _)| *stride);
        let strides = to.iter().map(|size| if *size > 1 { kept.next().unwrap_or(0) } else { 0 }).collect();
        Some(View { place, offset, strides })
    }
}

/// How far apart neighbours along each axis are, in C order.
pub(crate) fn steps(shape: &[usize]) -> Vec<isize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product::<usize>() as isize).collect()
}

/// Fewer axes for the same elements in the same order: axes of size 1 go, and neighbours become one axis where every
/// one of `strides` allows it. At least one axis stays.
pub(crate) fn collapse(shape: &[usize], strides: &mut [Vec<isize>]) -> Vec<usize> {
    let mut sizes: Vec<usize> = Vec::new();
    let mut kept: Vec<Vec<isize>> = vec![Vec::new(); strides.len()];
    for (axis, &size) in shape.iter().enumerate().filter(|(_, size)| **size > 1) {
        let joins = |(kept, all): (&Vec<isize>, &Vec<isize>)| kept.last() == Some(&(all[axis] * size as isize));
        if let Some(last) = sizes.last_mut().filter(|_| kept.iter().zip(strides.iter()).all(joins)) {
            *last *= size;
            kept.iter_mut().zip(strides.iter()).for_each(|(kept, all)| {
                kept.pop();
                kept.push(all[axis]);
            });
        } else {
            sizes.push(size);
            kept.iter_mut().zip(strides.iter()).for_each(|(kept, all)| kept.push(all[axis]));
        }
    }
    if sizes.is_empty() {
        sizes.push(1);
        kept.iter_mut().for_each(|kept| kept.push(0));
    }
    strides.iter_mut().zip(kept).for_each(|(all, kept)| *all = kept);
    sizes
}

/// `sum strides[axis] i[axis]` for the element `i` of `sizes` in C order.
pub(crate) fn place(mut i: usize, sizes: &[usize], strides: &[isize]) -> isize {
    let mut at = 0;
    for (size, stride) in sizes.iter().zip(strides).rev() {
        at += (i % size) as isize * stride;
        i /= size;
    }
    at
}
