//! The plane of bars, and how far two of them are apart in it.

/// (birth, death) of a finite bar.
pub type Point = [f64; 2];

/// The norm on (birth, death): what moving a bar costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ground {
    /// The larger of the two changes, as in GUDHI's bottleneck distance: a bar is half its length from the diagonal.
    #[default]
    Sup,
    /// The length of the straight line: a bar is its length / sqrt 2 from the diagonal.
    Euclidean,
    /// The sum of the two changes: a bar is its length from the diagonal.
    Sum,
}

impl Ground {
    /// The norm of (x, y), which are not negative. Its rounding is monotone in both.
    pub fn norm(self, x: f64, y: f64) -> f64 {
        match self {
            Ground::Sup => x.max(y),
            Ground::Euclidean => (x * x + y * y).sqrt(),
            Ground::Sum => x + y,
        }
    }

    /// The distance of two points.
    pub fn between(self, a: Point, b: Point) -> f64 {
        self.norm((a[0] - b[0]).abs(), (a[1] - b[1]).abs())
    }

    /// The distance of a bar from the diagonal. Halved first, so that no length overflows.
    pub fn alone(self, a: Point) -> f64 {
        let half = 0.5 * a[1] - 0.5 * a[0];
        match self {
            Ground::Sup => half,
            Ground::Euclidean => half * std::f64::consts::SQRT_2,
            Ground::Sum => 2.0 * half,
        }
    }

    /// What numbers are divided by so that neither squares nor sums of them overflow: a power of two.
    pub fn unit(self, numbers: impl Iterator<Item = f64>) -> f64 {
        match self {
            Ground::Sup => 1.0,
            _ => power_of_two(numbers.map(f64::abs).fold(0.0, f64::max)),
        }
    }
}

/// The power of two below a positive number, or the least normal one.
pub fn power_of_two(x: f64) -> f64 {
    // All but the mantissa's bits of a normal number.
    f64::from_bits(x.to_bits() & (0x7ff << 52)).max(f64::MIN_POSITIVE)
}
