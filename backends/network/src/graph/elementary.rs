//! The values of the elementary functions.

use super::op::{Binary, Unary};

/// The value of an elementary function; NaN where it has none.
pub fn unary(f: Unary, x: f64) -> f64 {
    match f {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign if x == 0.0 => 0.0,
        Unary::Sign => x.signum(),
        Unary::Step if x.is_nan() => x,
        Unary::Step => f64::from(u8::from(x > 0.0)),
        Unary::Relu if x.is_nan() => x,
        Unary::Relu => x.max(0.0),
        Unary::Exp => x.exp(),
        Unary::Expm1 => x.exp_m1(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Reciprocal => x.recip(),
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid if x >= 0.0 => (1.0 + (-x).exp()).recip(),
        Unary::Sigmoid => x.exp() / (1.0 + x.exp()),
        Unary::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p() + if x.is_nan() { x } else { 0.0 },
        Unary::Erf => libm::erf(x),
        Unary::NormalCdf => 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Atan => x.atan(),
        Unary::Floor => x.floor(),
        Unary::Round => x.round_ties_even(),
        Unary::Power(c) => x.powf(c.get()),
    }
}

/// The value of a function of two numbers.
pub fn binary(f: Binary, a: f64, b: f64) -> f64 {
    match f {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max => {
            if b > a || b.is_nan() {
                b
            } else {
                a
            }
        }
        Binary::Min => {
            if b < a || b.is_nan() {
                b
            } else {
                a
            }
        }
        Binary::Less => f64::from(u8::from(a < b)),
        Binary::Equal => f64::from(u8::from(a == b)),
    }
}
