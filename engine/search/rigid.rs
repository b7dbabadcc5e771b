//! Rigid motions: the copy of a set of points that lies nearest to another, its points matched and the whole turned.
//!
//! Rotation and matching are each easy when the other is known: a quaternion's eigenproblem (Horn 1987) and an
//! assignment. They take turns from many starting rotations: those that bring principal axes or frames of two points onto
//! one another, and an even net. For two copies one of the frames is exact. For others the nearest copy may be missed,
//! as by every method short of a search with bounds (Griffiths, Niblett and Wales 2017): a path is then longer, no less
//! valid. Reflections are tried only where the loss declares one: rigid motions keep left and right apart.

use super::assignment::assignment;
use super::rotation::{Matrix, Vector, apart, apply, between, cross, dot, eigen, net, spin, squares, superposition};

/// RigidSet in two or three dimensions that move together.
#[derive(Clone, Debug)]
pub struct RigidSet {
    /// The coordinates of every point.
    blocks: Vec<Vec<usize>>,
    /// RigidSet that may be exchanged, by number.
    classes: Vec<Vec<usize>>,
    mirror: bool,
}

/// Pairs of points of the reference whose frames are matched, and matches tried for each.
const PAIRS: usize = 3;
const MATCHES: usize = 32;
/// Rotations of the even net.
const NET: usize = 48;
/// Starting rotations that are followed to their end.
const FOLLOWED: usize = 12;

impl RigidSet {
    /// None of its points may be exchanged yet. `None` where points have other than 2 or 3 coordinates.
    pub fn new(blocks: Vec<Vec<usize>>) -> Option<RigidSet> {
        let d = blocks.first()?.len();
        (2..=3).contains(&d).then_some(RigidSet { blocks, classes: Vec::new(), mirror: false })
    }

    /// RigidSet that may be exchanged; false if these are not points of this set.
    pub fn exchange(&mut self, blocks: &[Vec<usize>]) -> bool {
        let class: Option<Vec<usize>> = blocks.iter().map(|b| self.blocks.iter().position(|own| own == b)).collect();
        let known = class.is_some();
        self.classes.extend(class);
        known
    }

    /// Coordinates that may be negated together; false if this is no reflection or rotation of the whole set.
    pub fn reflect(&mut self, coordinates: &[usize]) -> bool {
        let d = self.blocks[0].len();
        let axes = |block: &Vec<usize>| block.iter().map(|i| coordinates.contains(i)).collect::<Vec<bool>>();
        let first = axes(&self.blocks[0]);
        let negated = first.iter().filter(|&&axis| axis).count();
        let whole = coordinates.len() == negated * self.blocks.len() && self.blocks.iter().all(|b| axes(b) == first);
        self.mirror |= whole && negated % 2 == 1;
        whole && (1..=d).contains(&negated)
    }

    /// Replaces these points of `theta` by the nearest copy found. O(n^3) for n points, about a millisecond for 13.
    pub fn nearest(&self, reference: &[f64], theta: &mut [f64]) {
        let (a, centre) = self.centred(reference);
        let (given, _) = self.centred(theta);
        let planar = self.blocks[0].len() == 2;
        let size: f64 = a.iter().map(|p| dot(*p, *p)).sum();
        let mut best: Option<(f64, Vec<Vector>)> = None;
        let mirrored: Vec<Vector> = given.iter().map(|p| [-p[0], p[1], p[2]]).collect();
        for b in [given, mirrored].iter().take(if self.mirror { 2 } else { 1 }) {
            let mut starts: Vec<(f64, Matrix)> =
                starts(&a, b, planar).into_iter().map(|r| (self.loosely(&a, b, &r), r)).collect();
            starts.sort_by(|x, y| x.0.total_cmp(&y.0)); // Stable: ties keep the order of the list.
            for (_, start) in starts.into_iter().take(FOLLOWED) {
                let copy = self.follow(&a, b, start, planar);
                let distance = squares(&a, &copy);
                if best.as_ref().is_none_or(|(least, _)| distance < *least * (1.0 - 1e-12)) {
                    best = Some((distance, copy));
                }
                if distance <= 1e-16 * size {
                    break; // A copy: nothing is nearer.
                }
            }
        }
        let Some((_, copy)) = best else { return };
        for (block, point) in self.blocks.iter().zip(copy) {
            for (k, &i) in block.iter().enumerate() {
                theta[i] = centre[k] + point[k];
            }
        }
    }

    /// The points from their centroid, and the centroid.
    fn centred(&self, theta: &[f64]) -> (Vec<Vector>, Vector) {
        let point = |block: &Vec<usize>| {
            let mut point = [0.0; 3];
            block.iter().zip(&mut point).for_each(|(&i, x)| *x = theta[i]);
            point
        };
        let mut points: Vec<Vector> = self.blocks.iter().map(point).collect();
        let centre = [0, 1, 2].map(|k| points.iter().map(|p| p[k]).sum::<f64>() / points.len() as f64);
        points.iter_mut().for_each(|p| (0..3).for_each(|k| p[k] -= centre[k]));
        (points, centre)
    }

    /// A lower bound on what the matching under a rotation leaves: every point takes its nearest.
    fn loosely(&self, a: &[Vector], b: &[Vector], rotation: &Matrix) -> f64 {
        let turned: Vec<Vector> = b.iter().map(|p| apply(rotation, p)).collect();
        let mut own: f64 = (0..a.len()).map(|i| apart(&a[i], &turned[i])).sum();
        for class in &self.classes {
            for &i in class {
                let nearest = class.iter().map(|&j| apart(&a[i], &turned[j])).fold(f64::INFINITY, f64::min);
                own += nearest - apart(&a[i], &turned[i]);
            }
        }
        own
    }

    /// Matching and rotation in turns until the matching stays; returns the matched and turned points.
    fn follow(&self, a: &[Vector], b: &[Vector], mut rotation: Matrix, planar: bool) -> Vec<Vector> {
        let mut order: Vec<usize> = (0..b.len()).collect();
        for turn in 0..50 {
            let mut next: Vec<usize> = (0..b.len()).collect();
            for class in &self.classes {
                let turned: Vec<Vector> = class.iter().map(|&j| apply(&rotation, &b[j])).collect();
                let cost: Vec<f64> = class.iter().flat_map(|&i| turned.iter().map(move |p| -dot(a[i], *p))).collect();
                for (to, from) in assignment(&cost, class.len()).into_iter().enumerate() {
                    next[class[to]] = class[from];
                }
            }
            if turn > 0 && next == order {
                break;
            }
            order = next;
            let matched: Vec<Vector> = order.iter().map(|&j| b[j]).collect();
            rotation = superposition(a, &matched, planar);
        }
        order.iter().map(|&j| apply(&rotation, &b[j])).collect()
    }
}

/// Rotations to start from.
fn starts(a: &[Vector], b: &[Vector], planar: bool) -> Vec<Matrix> {
    let mut found = vec![[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]];
    if planar {
        let net = (1..NET).map(|k| spin(std::f64::consts::TAU * k as f64 / NET as f64));
        found.extend(net);
        // A frame of the plane is one point: the reference's outermost onto every one.
        if let Some(far) = a.iter().max_by(|p, q| dot(**p, **p).total_cmp(&dot(**q, **q))) {
            found.extend(b.iter().map(|p| spin(far[1].atan2(far[0]) - p[1].atan2(p[0]))));
        }
        return found;
    }
    // Principal axes, in every proper combination of their directions.
    let (ours, theirs) = (axes(a), axes(b));
    for signs in [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]] {
        let first = theirs[0].map(|x| signs[0] * x);
        let second = theirs[1].map(|x| signs[1] * x);
        found.push(between(&[ours[0], ours[1], cross(ours[0], ours[1])], &[first, second, cross(first, second)]));
    }
    found.extend(frames(a, b));
    found.extend((0..NET).map(|k| net(k, NET)));
    found
}

/// Rotations that bring a frame of two points of `b` onto one of `a` of nearly the same shape.
fn frames(a: &[Vector], b: &[Vector]) -> Vec<Matrix> {
    let n = a.len();
    let mut outermost: Vec<usize> = (0..n).collect();
    outermost.sort_by(|&i, &j| dot(a[j], a[j]).total_cmp(&dot(a[i], a[i])));
    let mut found = Vec::new();
    for &i in outermost.iter().take(PAIRS) {
        let area = |j: usize| {
            let across = cross(a[i], a[j]);
            dot(across, across)
        };
        let Some(j) = (0..n).max_by(|&j, &k| area(j).total_cmp(&area(k))) else { continue };
        let Some(ours) = frame(a[i], a[j]) else { continue };
        let shape = |p: Vector, q: Vector| [dot(p, p), dot(q, q), dot(p, q)];
        let wanted = shape(a[i], a[j]);
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for k in 0..n {
            for l in (0..n).filter(|&l| l != k) {
                let off = shape(b[k], b[l]).iter().zip(&wanted).map(|(x, y)| (x - y).powi(2)).sum();
                pairs.push((off, k, l));
            }
        }
        pairs.sort_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))));
        let theirs = pairs.iter().take(MATCHES).filter_map(|&(_, k, l)| frame(b[k], b[l]));
        found.extend(theirs.map(|theirs| between(&ours, &theirs)));
    }
    found
}

/// Right-handed unit vectors: along p, towards q, and across; `None` where the two lie on a line with the centre.
fn frame(p: Vector, q: Vector) -> Option<Matrix> {
    let unit = |v: Vector| {
        let size = dot(v, v).sqrt();
        (size > 1e-6).then(|| v.map(|x| x / size))
    };
    let first = unit(p)?;
    let along = dot(first, q);
    let second = unit([0, 1, 2].map(|k| q[k] - along * first[k]))?;
    Some([first, second, cross(first, second)])
}

/// The two axes of the least and the middle moment, unit and orthogonal.
fn axes(points: &[Vector]) -> [Vector; 2] {
    let spread = [0, 1, 2].map(|i| [0, 1, 2].map(|j| points.iter().map(|p| p[i] * p[j]).sum::<f64>()));
    let (values, vectors) = eigen(spread);
    let mut order = [0, 1, 2];
    order.sort_by(|&i, &j| values[j].total_cmp(&values[i]));
    [vectors[order[0]], vectors[order[1]]]
}

#[cfg(test)]
mod tests {
    use super::super::rotation::tests::rotations;
    use super::super::vector::distance;
    use super::*;
    use proptest::prelude::*;

    fn points(n: usize, d: usize, exchange: bool, mirror: bool) -> RigidSet {
        let blocks: Vec<Vec<usize>> = (0..n).map(|i| (d * i..d * i + d).collect()).collect();
        let mut points = RigidSet::new(blocks.clone()).unwrap();
        assert!(!exchange || points.exchange(&blocks));
        assert!(!mirror || points.reflect(&(0..n * d).collect::<Vec<_>>()));
        points
    }

    /// Turned, moved, exchanged by a rotation of the list, and perhaps reflected.
    fn copy(theta: &[f64], rotation: &Matrix, shift: usize, reflected: bool) -> Vec<f64> {
        let sign = if reflected { -1.0 } else { 1.0 };
        let turned = |p: &[f64]| apply(rotation, &[sign * p[0], sign * p[1], sign * p[2]]).map(|x| x + 0.7);
        let mut copy: Vec<f64> = theta.chunks(3).flat_map(turned).collect();
        copy.rotate_right(3 * (shift % (theta.len() / 3)));
        copy
    }

    fn cloud() -> impl Strategy<Value = Vec<f64>> {
        (2usize..9).prop_flat_map(|n| prop::collection::vec(-2.0f64..2.0, 3 * n))
    }

    proptest! {
        #[test]
        fn a_turned_and_exchanged_copy_is_undone(
            theta in cloud(), rotation in rotations(), shift in 0usize..8, reflected: bool
        ) {
            let mut found = copy(&theta, &rotation, shift, reflected);
            points(theta.len() / 3, 3, true, reflected).nearest(&theta, &mut found);
            prop_assert!(distance(&theta, &found) < 1e-6, "{}", distance(&theta, &found));
        }

        #[test]
        fn distances_within_a_set_are_kept(theta in cloud(), other in cloud()) {
            let n = theta.len().min(other.len()) / 3;
            let (theta, other) = (&theta[..3 * n], &other[..3 * n]);
            let mut found = other.to_vec();
            points(n, 3, true, false).nearest(theta, &mut found);
            let lengths = |x: &[f64]| {
                let p: Vec<&[f64]> = x.chunks(3).collect();
                let mut all: Vec<f64> = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| distance(p[i], p[j])).collect();
                all.sort_by(f64::total_cmp);
                all
            };
            for (a, b) in lengths(other).iter().zip(lengths(&found)) {
                prop_assert!((a - b).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn left_and_right_are_kept_apart_unless_a_reflection_is_declared() {
        let hand = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 3.0];
        let other: Vec<f64> = hand.iter().map(|x| -x).collect();
        let left = |mirror| {
            let mut found = other.clone();
            points(4, 3, true, mirror).nearest(&hand, &mut found);
            distance(&hand, &found)
        };
        assert!(left(false) > 0.1 && left(true) < 1e-12, "{} {}", left(false), left(true));
    }

    #[test]
    fn points_that_may_not_be_exchanged_are_not() {
        let bent = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0];
        let other = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0];
        let left = |exchange| {
            let mut found = other.to_vec();
            points(3, 3, exchange, false).nearest(&bent, &mut found);
            distance(&bent, &found)
        };
        assert!(left(true) < 1e-12 && left(false) > 0.1);
    }

    #[test]
    fn points_of_the_plane_turn_in_the_plane() {
        let hand = [0.0, 0.0, 1.0, 0.0, 0.0, 2.0];
        let (sin, cos) = 2.0_f64.sin_cos();
        let turned: Vec<f64> =
            hand.chunks(2).flat_map(|p| [cos * p[0] - sin * p[1], sin * p[0] + cos * p[1]]).collect();
        let mirrored: Vec<f64> = hand.chunks(2).flat_map(|p| [-p[0], p[1]]).collect();
        let left = |other: &[f64]| {
            let mut found = other.to_vec();
            points(3, 2, true, false).nearest(&hand, &mut found);
            distance(&hand, &found)
        };
        assert!(left(&turned) < 1e-12 && left(&mirrored) > 0.1);
    }
}
