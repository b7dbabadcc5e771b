//! A cluster of Lennard-Jones atoms, E = 4 sum (r^-12 - r^-6) over pairs, in reduced units (epsilon = sigma = 1).
//!
//! theta holds the three coordinates of atom after atom. There is no box: moving the whole cluster changes nothing, and
//! an atom that has left it is no minimum. Declared are permutations of atoms, rigid motions, and the point reflection as
//! the sign of one block of all coordinates: rigid motions keep left and right apart, distances do not.

use crate::{Answers, CriticalPoint, Surface};
use mountainpass_sdk::{Bounds, Error, Open, Symmetry, SymmetryKind};

pub struct LennardJones {
    atoms: usize,
}

/// A row of more atoms would take longer than a backend may go without asking whether to stop.
const MOST: usize = 3000;

impl LennardJones {
    /// Option: `atoms` (7).
    pub fn open(request: &mut Open<'_>) -> Result<LennardJones, Error> {
        match request.parsed("atoms")?.unwrap_or(7) {
            atoms @ 2..=MOST => Ok(LennardJones { atoms }),
            atoms => Err(Error::argument(format!("option atoms: {atoms} is not a number of atoms from 2 to {MOST}"))),
        }
    }
}

/// The differences between the points of every pair, with the coordinates where they start.
fn pairs(x: &[f64]) -> impl Iterator<Item = (usize, usize, [f64; 3])> {
    let between = |i: usize, j: usize| [x[i] - x[j], x[i + 1] - x[j + 1], x[i + 2] - x[j + 2]];
    (0..x.len()).step_by(3).flat_map(move |i| (0..i).step_by(3).map(move |j| (i, j, between(i, j))))
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// (1 / s, s^-3) for a squared distance s.
fn inverse(d: [f64; 3]) -> (f64, f64) {
    let inverse = 1.0 / dot(d, d);
    (inverse, inverse * inverse * inverse)
}

impl Surface for LennardJones {
    fn n(&self) -> usize {
        3 * self.atoms
    }

    fn cost(&self) -> usize {
        self.atoms * self.atoms
    }

    fn value(&self, x: &[f64]) -> f64 {
        let energies = pairs(x).map(|(_, _, d)| {
            let (_, cubed) = inverse(d);
            cubed * cubed - cubed
        });
        4.0 * energies.sum::<f64>()
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (i, j, d) in pairs(x) {
            let (inverse, cubed) = inverse(d);
            // Twice the derivative by the squared distance.
            let slope = 8.0 * inverse * cubed * (3.0 - 6.0 * cubed);
            for k in 0..3 {
                out[i + k] += slope * d[k];
                out[j + k] -= slope * d[k];
            }
        }
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (i, j, d) in pairs(x) {
            let (inverse, cubed) = inverse(d);
            let slope = 8.0 * inverse * cubed * (3.0 - 6.0 * cubed);
            let w = [v[i] - v[j], v[i + 1] - v[j + 1], v[i + 2] - v[j + 2]];
            let bend = 16.0 * inverse * inverse * cubed * (42.0 * cubed - 12.0) * dot(d, w);
            for k in 0..3 {
                let force = slope * w[k] + bend * d[k];
                out[i + k] += force;
                out[j + k] -= force;
            }
        }
    }

    fn bounds(&self) -> Option<Bounds> {
        None
    }

    /// Atoms uniform in a ball of the volume of about four times as many in a crystal, none nearer than 0.9 to another: they
    /// all feel each other, and no pair begins with more energy than a few bonds hold.
    fn start(&self, uniform: &mut dyn FnMut() -> f64) -> Vec<f64> {
        const NEAREST: f64 = 0.9;
        const TRIES: usize = 1000;
        let radius = (self.atoms as f64).cbrt();
        let mut x: Vec<f64> = Vec::with_capacity(self.n());
        while x.len() < self.n() {
            // The first try that keeps its distance, else the one that comes nearest to it; most do at once, since the
            // atoms placed fill at most 0.73 of the ball with what they forbid.
            let (mut best, mut room) = ([0.0; 3], f64::NEG_INFINITY);
            for _ in 0..TRIES {
                let point = [(); 3].map(|()| radius * (2.0 * uniform() - 1.0));
                if dot(point, point) > radius * radius {
                    continue;
                }
                let apart = |other: &[f64]| {
                    let d = [point[0] - other[0], point[1] - other[1], point[2] - other[2]];
                    dot(d, d)
                };
                let nearest = x.chunks_exact(3).map(apart).fold(f64::INFINITY, f64::min);
                if nearest > room {
                    (best, room) = (point, nearest);
                }
                if nearest >= NEAREST * NEAREST {
                    break;
                }
            }
            x.extend(best);
        }
        x
    }

    /// The global minimum where its shape follows from symmetry alone, and the bars of up to seven atoms modulo the declared
    /// symmetries.
    fn known(&self) -> Answers {
        let critical = ideal(self.atoms).map_or_else(Vec::new, |x| {
            let value = self.value(&x);
            vec![CriticalPoint { x, value, index: 0 }]
        });
        Answers { critical, bars: bars(self.atoms) }
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        let points: Vec<Vec<u64>> = (0..self.atoms as u64).map(|i| (3 * i..3 * i + 3).collect()).collect();
        vec![
            Symmetry { kind: SymmetryKind::Permutation, blocks: points.clone() },
            Symmetry { kind: SymmetryKind::Rigid, blocks: points },
            Symmetry { kind: SymmetryKind::Sign, blocks: vec![(0..self.n() as u64).collect()] },
        ]
    }

    fn options(&self) -> String {
        format!("atoms = {}\n", self.atoms)
    }
}

/// The regular simplices, the octahedron and the icosahedron with its centre, at their best scale.
fn ideal(atoms: usize) -> Option<Vec<f64>> {
    let golden = 0.5 * (1.0 + 5.0_f64.sqrt());
    let mut x = match atoms {
        2 => vec![0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        3 => vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        4 => vec![1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0, -1.0, -1.0, -1.0, 1.0],
        6 => [1.0, -1.0].iter().flat_map(|&s| [s, 0.0, 0.0, 0.0, s, 0.0, 0.0, 0.0, s]).collect(),
        13 => {
            let signs = [(1.0, golden), (1.0, -golden), (-1.0, golden), (-1.0, -golden)];
            let shell = signs.iter().flat_map(|&(a, b)| [0.0, a, b, a, b, 0.0, b, 0.0, a]);
            [0.0; 3].into_iter().chain(shell).collect()
        }
        _ => return None,
    };
    // E = 4 (a s^-12 - b s^-6) at scale s, with its minimum at s^6 = 2 a / b.
    let (a, b) = pairs(&x).map(|(_, _, d)| inverse(d).1).fold((0.0, 0.0), |(a, b), c| (a + c * c, b + c));
    let scale = (2.0 * a / b).powf(1.0 / 6.0);
    x.iter_mut().for_each(|x| *x *= scale);
    Some(x)
}

/// The bars of small clusters. The numbers are those of an enumeration of its own: minima by descent and passes by
/// eigenvector following from random points until nothing new came (two minima and 3 passes for six atoms, 4 and 11 for
/// seven), the passes' ends by descent, then the elder rule.
fn bars(atoms: usize) -> Vec<(f64, f64)> {
    const INF: f64 = f64::INFINITY;
    match atoms {
        2 => vec![(-1.0, INF)],
        3 => vec![(-3.0, INF)],
        4 => vec![(-6.0, INF)],
        5 => vec![(-9.103_852_415_708, INF)],
        6 => vec![(-12.712_062_256_809, INF), (-12.302_927_529_581, -12.079_031_274_631)],
        7 => vec![
            (-16.505_384_168_012, INF),
            (-15.935_043_060_489, -15.444_733_799_819),
            (-15.593_210_938_193, -15.319_864_440_861),
            (-15.533_060_054_575, -15.283_421_275_350),
        ],
        _ => Vec::new(),
    }
}
