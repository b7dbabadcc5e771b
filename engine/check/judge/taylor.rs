//! Is a gradient that of its function? Taylor's test: what remains of the function once base value and gradient are
//! taken away must fall as the square of the step, along whatever direction.
//!
//! Dense random directions see a wrong sign or factor at once, but one wrong coordinate of many leaves little in them.
//! Sparse ones see it: every coordinate of a small function, random groups that cover a large one, and single
//! coordinates. [`super::line`] judges each direction.

use super::line::{self, Line, Slope};
use crate::check::random::Random;
use crate::check::verdict::Outcome;
use std::time::{Duration, Instant};

/// What is tested: a function of `p` numbers.
pub trait TestedFunction {
    /// The values of `n x p` numbers; NaN where there is none.
    fn values(&self, theta: &[f64]) -> Outcome<Vec<f64>>;
    /// The relative rounding of the type in which `theta` travels.
    fn epsilon(&self) -> f64;
    /// How much a value is known to change when it is computed again.
    fn noise(&self) -> f64;
}

/// A direction of length 1, zero almost everywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// Coordinate and component, by coordinate.
    pub entries: Vec<(usize, f64)>,
}

/// What a test found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Directions that were judged.
    pub judged: usize,
    /// Those along which the function has different slopes on the two sides.
    pub kinks: usize,
    /// Those along which the slope was known well enough to tell a gradient from its opposite.
    pub decided: usize,
    /// The first one along which the gradient is wrong.
    pub wrong: Option<Wrong>,
}

/// A wrong gradient.
#[derive(Clone, Debug)]
pub struct Wrong {
    pub direction: String,
    /// What differences of values say, and how far they may be off.
    pub slope: f64,
    pub error: f64,
    /// What the gradient says.
    pub claimed: f64,
    /// The power of the step as which the remainders of the two sides differ; 3 if the gradient were right.
    pub order: f64,
}

impl Wrong {
    /// What was expected, and what came.
    pub fn words(&self) -> (String, String) {
        let Wrong { direction, slope, error, claimed, order } = self;
        (
            format!("the slope {slope:.10e} along {direction}, known to {error:.1e} from differences"),
            format!("{claimed:.10e}; the remainders on the two sides differ by step^{order:.1}, not step^3"),
        )
    }
}

/// Up to this many coordinates each is a direction by itself; more are covered by that many groups.
const GROUPS: usize = 64;
/// Single coordinates that are tried where there are too many to try all.
const SINGLES: usize = 12;

impl Direction {
    /// Random components in the given coordinates.
    fn random(mut coordinates: Vec<usize>, random: &mut Random) -> Direction {
        coordinates.sort_unstable();
        let components = random.direction(coordinates.len());
        Direction { entries: coordinates.into_iter().zip(components).collect() }
    }

    /// One coordinate by itself.
    pub fn single(coordinate: usize) -> Direction {
        Direction { entries: vec![(coordinate, 1.0)] }
    }

    /// A random one in all coordinates.
    pub fn dense(p: usize, random: &mut Random) -> Direction {
        Direction::random((0..p).collect(), random)
    }

    /// The directions to try at a point with that gradient, those that see most first.
    pub fn choice(gradient: &[f64], random: &mut Random) -> Vec<Direction> {
        let p = gradient.len();
        let mut all: Vec<Direction> = (0..3).map(|_| Direction::dense(p, random)).collect();
        if p <= GROUPS {
            all.extend((0..p).map(Direction::single));
            return all;
        }
        let mut shuffled: Vec<usize> = (0..p).collect();
        random.shuffle(&mut shuffled);
        let steepest = (0..p).max_by(|&i, &j| gradient[i].abs().total_cmp(&gradient[j].abs())).unwrap_or(0);
        all.extend([0, p - 1, steepest].map(Direction::single));
        all.extend(shuffled.iter().take(SINGLES).map(|&i| Direction::single(i)));
        let groups = shuffled.chunks(p.div_ceil(GROUPS)).map(<[usize]>::to_vec);
        all.extend(groups.map(|group| Direction::random(group, random)));
        all
    }

    /// How a message calls it.
    pub fn name(&self, p: usize) -> String {
        match self.entries.as_slice() {
            [(at, _)] => format!("coordinate {at}"),
            all if all.len() == p => "a random direction".into(),
            all => {
                let few: Vec<String> = all.iter().take(3).map(|(at, _)| at.to_string()).collect();
                format!("a direction in the {} coordinates {}...", all.len(), few.join(", "))
            }
        }
    }

    /// The step at which every coordinate has moved by about `scale`.
    pub fn size(&self, scale: f64) -> f64 {
        scale * (self.entries.len() as f64).sqrt()
    }

    /// Points at these distances from a base, exact in the type that theta travels as: `offsets x p`.
    pub fn points(&self, base: &[f64], offsets: impl Iterator<Item = f64>, epsilon: f64) -> Vec<f64> {
        let mut all = Vec::new();
        for offset in offsets {
            let row = all.len();
            all.extend_from_slice(base);
            for &(at, component) in &self.entries {
                all[row + at] = rounded(base[at] + offset * component, epsilon);
            }
        }
        all
    }
}

/// A number as it arrives when it travels in a type with that rounding.
pub fn rounded(x: f64, epsilon: f64) -> f64 {
    if epsilon > f64::EPSILON { f64::from(x as f32) } else { x }
}

/// How far coordinates may move until something happens: their root mean square.
pub fn scale(theta: &[f64]) -> f64 {
    let mean = theta.iter().map(|x| x * x).sum::<f64>() / theta.len() as f64;
    if mean > 0.0 && mean.is_finite() { mean.sqrt() } else { 1.0 }
}

/// A point beside another one, where nothing happens to be zero.
pub fn beside(theta: &[f64], epsilon: f64, random: &mut Random) -> Vec<f64> {
    let far = 0.3 * scale(theta);
    theta.iter().map(|x| rounded(x + far * random.normal(), epsilon)).collect()
}

/// The rounding in the values of a function around a base point, along two lines.
pub fn rounding(function: &impl TestedFunction, base: &[f64], gradient: &[f64], random: &mut Random) -> Outcome<f64> {
    let epsilon = function.epsilon();
    let mut widest = 0.5 * function.noise();
    for _ in 0..2 {
        let direction = Direction::dense(base.len(), random);
        let offsets = line::stretch(direction.size(scale(base)), epsilon);
        let points = direction.points(base, offsets.into_iter(), epsilon);
        let values = remainders(function, base, gradient, &direction, &points)?;
        let finite = values.iter().filter(|value| value.is_finite());
        widest = finite.fold(widest, |widest, value| widest.max(0.5 * epsilon * value.abs()));
        widest = widest.max(line::noise(&values).unwrap_or(0.0));
    }
    Ok(widest)
}

/// The values at points on a line less what the gradient says of them.
fn remainders(
    function: &impl TestedFunction,
    base: &[f64],
    gradient: &[f64],
    direction: &Direction,
    points: &[f64],
) -> Outcome<Vec<f64>> {
    let values = function.values(points)?;
    // The point may lie a rounding beside the line.
    let moved =
        |point: &[f64]| direction.entries.iter().map(|&(at, _)| gradient[at] * (point[at] - base[at])).sum::<f64>();
    Ok(values.iter().zip(points.chunks_exact(base.len())).map(|(value, point)| value - moved(point)).collect())
}

/// Holds a gradient against the function at a base point, along all directions or until `patience` ends. `smooth`:
/// the function has no kinks.
pub fn test(
    function: &impl TestedFunction,
    (base, gradient): (&[f64], &[f64]),
    smooth: bool,
    patience: Duration,
    random: &mut Random,
) -> Outcome<Found> {
    let (since, epsilon) = (Instant::now(), function.epsilon());
    let noise = rounding(function, base, gradient, random)?;
    let mut found = Found::default();
    for direction in Direction::choice(gradient, random) {
        if found.judged >= 8 && since.elapsed() > patience {
            break;
        }
        let steps = line::steps(direction.size(scale(base)), epsilon);
        let offsets = steps.iter().copied().chain(steps.iter().map(|step| -step)).chain([0.0]);
        let points = direction.points(base, offsets, epsilon);
        let mut right = remainders(function, base, gradient, &direction, &points)?;
        let centre = right.pop().unwrap_or(f64::NAN);
        let left = right.split_off(steps.len());
        let line = Line { steps, base: centre, right, left };
        // The gradient is rounded, too, and is a sum of terms that may be larger than itself.
        let terms = direction.entries.iter().map(|&(at, component)| gradient[at] * component);
        let claimed: f64 = terms.clone().sum();
        let allowance = 100.0 * epsilon * terms.map(f64::abs).sum::<f64>();
        match line.slope(noise, allowance, smooth) {
            Slope::Unknown => continue,
            Slope::Kink => found.kinks += 1,
            Slope::Zero { within } => found.decided += usize::from(within < claimed.abs()),
            Slope::Some { value, error, step } => {
                found.judged += 1;
                let slope = claimed + value;
                let direction = direction.name(base.len());
                found.wrong = Some(Wrong { direction, slope, error, claimed, order: line.order(step) });
                return Ok(found);
            }
        }
        found.judged += 1;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spoils a right derivative.
    type Sin = fn(&mut Vec<f64>);

    /// A closure as a function.
    struct Plain<F: Fn(&[f64]) -> f64>(usize, f64, F);

    impl<F: Fn(&[f64]) -> f64> TestedFunction for Plain<F> {
        fn values(&self, theta: &[f64]) -> Outcome<Vec<f64>> {
            Ok(theta.chunks_exact(self.0).map(&self.2).collect())
        }
        fn epsilon(&self) -> f64 {
            self.1
        }
        fn noise(&self) -> f64 {
            0.0
        }
    }

    const F32: f64 = f32::EPSILON as f64;

    /// A chain of double wells, with its gradient.
    fn chain(x: &[f64]) -> f64 {
        let wells: f64 = x.iter().map(|x| x.powi(4) / 4.0 - x * x / 2.0 + 0.1 * x).sum();
        wells + x.windows(2).map(|pair| (pair[0] * pair[1]).sin()).sum::<f64>()
    }

    fn chain_gradient(x: &[f64]) -> Vec<f64> {
        let mut g: Vec<f64> = x.iter().map(|x| x.powi(3) - x + 0.1).collect();
        for i in 1..x.len() {
            let slope = (x[i - 1] * x[i]).cos();
            g[i] += slope * x[i - 1];
            g[i - 1] += slope * x[i];
        }
        g
    }

    /// The same in f32, with its rounding.
    fn single_chain(x: &[f64]) -> f64 {
        let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let wells: f32 = x.iter().map(|x| x.powi(4) / 4.0 - x * x / 2.0 + 0.1 * x).sum();
        f64::from(wells + x.windows(2).map(|pair| (pair[0] * pair[1]).sin()).sum::<f32>())
    }

    fn found(p: usize, seed: u64, wrong: impl Fn(&mut Vec<f64>)) -> Found {
        let mut random = Random::new(seed, "taylor");
        let base = random.normals(p);
        let mut gradient = chain_gradient(&base);
        wrong(&mut gradient);
        let patience = Duration::from_secs(60);
        test(&Plain(p, f64::EPSILON, chain), (&base, &gradient), true, patience, &mut random).unwrap()
    }

    fn found_single(p: usize, seed: u64, wrong: impl Fn(&mut Vec<f64>)) -> Found {
        let mut random = Random::new(seed, "taylor");
        let base: Vec<f64> = random.normals(p).into_iter().map(|x| rounded(x, F32)).collect();
        let mut gradient: Vec<f64> = chain_gradient(&base).into_iter().map(|x| rounded(x, F32)).collect();
        wrong(&mut gradient);
        let patience = Duration::from_secs(60);
        test(&Plain(p, F32, single_chain), (&base, &gradient), true, patience, &mut random).unwrap()
    }

    #[test]
    fn a_right_gradient_passes_whatever_the_seed() {
        for seed in 0..200 {
            let p = [1, 2, 5, 40][seed as usize % 4];
            for found in [found(p, seed, |_| {}), found_single(p, seed, |_| {})] {
                assert!(found.wrong.is_none(), "seed {seed}, p {p}: {:?}", found.wrong);
                assert!(found.decided > 0 && found.kinks == 0, "seed {seed}, p {p}: {found:?}");
            }
        }
    }

    #[test]
    fn a_right_gradient_of_a_stiff_function_passes() {
        // Two atoms of a Lennard-Jones pair that begin too close: values of 1e8, third derivatives of 1e15.
        let square = |x: &[f64]| (0..3).map(|i| (x[i] - x[i + 3]).powi(2)).sum::<f64>();
        let value = |x: &[f64]| 4.0 * (square(x).powi(-6) - square(x).powi(-3));
        let gradient = |x: &[f64]| -> Vec<f64> {
            let factor = 4.0 * (-12.0 * square(x).powi(-7) + 6.0 * square(x).powi(-4));
            (0..6).map(|i| factor * (x[i] - x[(i + 3) % 6])).collect()
        };
        for seed in 0..200 {
            let mut random = Random::new(seed, "stiff");
            let base = random.normals(6).iter().map(|x| 0.3 * x).collect::<Vec<_>>();
            let (function, patience) = (Plain(6, f64::EPSILON, value), Duration::from_secs(60));
            let right = test(&function, (&base, &gradient(&base)), true, patience, &mut random).unwrap();
            assert!(right.wrong.is_none() && right.decided > 0, "seed {seed}: {:?}", right.wrong);
            let mut wrong = gradient(&base);
            wrong[4] *= 0.9;
            let found = test(&function, (&base, &wrong), true, patience, &mut random).unwrap();
            assert!(found.wrong.is_some(), "seed {seed}: {found:?}");
        }
    }

    #[test]
    fn a_wrong_gradient_is_found_in_a_thousand_parameters() {
        let sins: [(&str, Sin); 6] = [
            ("sign", |g| g.iter_mut().for_each(|x| *x = -*x)),
            ("factor", |g| g.iter_mut().for_each(|x| *x *= 1.001)),
            ("swapped", |g| g.swap(400, 401)),
            ("one coordinate", |g| g[617] += 1e-3),
            ("one coordinate is zero", |g| g[31] = 0.0),
            ("the last coordinate's sign", |g| g[999] *= -1.0),
        ];
        for (name, sin) in sins {
            for seed in 0..5 {
                let wrong = found(1000, seed, sin).wrong;
                assert!(wrong.as_ref().is_some_and(|wrong| wrong.order < 1.8), "{name}, seed {seed}: {wrong:?}");
            }
        }
        assert!((0..5).all(|seed| found(1000, seed, |_| {}).wrong.is_none()));
    }

    #[test]
    fn a_wrong_gradient_is_found_in_single_precision() {
        let sins: [(&str, Sin); 4] = [
            ("sign", |g| g.iter_mut().for_each(|x| *x = -*x)),
            ("factor", |g| g.iter_mut().for_each(|x| *x *= 1.1)),
            ("swapped", |g| g.swap(40, 41)),
            ("one coordinate", |g| g[61] += 0.1),
        ];
        for (name, sin) in sins {
            for seed in 0..5 {
                assert!(found_single(100, seed, sin).wrong.is_some(), "{name}, seed {seed}");
            }
        }
    }

    #[test]
    fn kinks_are_counted_and_the_gradient_beside_them_is_tested() {
        let value = |x: &[f64]| x.iter().map(|x| x.max(0.0) + 0.1 * x * x).sum::<f64>();
        let slope = |x: f64| if x > 0.0 { 1.0 + 0.2 * x } else { 0.2 * x };
        for seed in 0..200 {
            let mut random = Random::new(seed, "kinks");
            let mut base = random.normals(8);
            let gradient: Vec<f64> = base.iter().map(|&x| slope(x)).collect();
            let (function, patience) = (Plain(8, f64::EPSILON, value), Duration::from_secs(60));
            let right = test(&function, (&base, &gradient), false, patience, &mut random).unwrap();
            assert!(right.wrong.is_none() && right.kinks == 0, "seed {seed}: {right:?}");
            let opposite: Vec<f64> = gradient.iter().map(|x| -x).collect();
            let wrong = test(&function, (&base, &opposite), false, patience, &mut random).unwrap();
            assert!(wrong.wrong.is_some(), "seed {seed}");
            base[3] = 0.0;
            let kinked = test(&function, (&base, &gradient), false, patience, &mut random).unwrap();
            assert!(kinked.wrong.is_none() && kinked.kinks > 0, "seed {seed}: {kinked:?}");
        }
    }

    #[test]
    fn directions_cover_every_coordinate() {
        for p in [1, 3, GROUPS, GROUPS + 1, 1000, 100_000] {
            let mut random = Random::new(p as u64, "cover");
            let all = Direction::choice(&vec![0.0; p], &mut random);
            let mut seen = vec![false; p];
            all.iter().skip(3).flat_map(|d| &d.entries).for_each(|&(at, _)| seen[at] = true);
            assert!(seen.iter().all(|&seen| seen), "{p}");
            let length = |d: &Direction| d.entries.iter().map(|(_, c)| c * c).sum::<f64>();
            assert!(all.iter().all(|d| (length(d) - 1.0).abs() < 1e-9));
        }
    }
}
