//! Functions of every element, on blocks that stay in the first cache.
//!
//! All loops here are compiled into their callers, which run them inside [`vectorised`](crate::real::vectorised).

use crate::real::Real;
use mountainpass_network::graph::op::{Binary, Unary};

/// What an instruction reads: as many numbers as it writes, or one for all.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a, T> {
    Block(&'a [T]),
    Number(T),
}

#[inline(always)]
fn map<T: Real>(out: &mut [T], a: Operand<'_, T>, f: impl Fn(T) -> T) {
    match a {
        Operand::Block(a) => out.iter_mut().zip(a).for_each(
            #[inline(always)]
            |(out, a)| *out = f(*a),
        ),
        Operand::Number(a) => out.fill(f(a)),
    }
}

#[inline(always)]
fn zip<T: Real>(out: &mut [T], a: Operand<'_, T>, b: Operand<'_, T>, f: impl Fn(T, T) -> T) {
    match (a, b) {
        (Operand::Block(a), Operand::Block(b)) => out.iter_mut().zip(a).zip(b).for_each(
            #[inline(always)]
            |((out, a), b)| *out = f(*a, *b),
        ),
        (Operand::Block(a), Operand::Number(b)) => out.iter_mut().zip(a).for_each(
            #[inline(always)]
            |(out, a)| *out = f(*a, b),
        ),
        (Operand::Number(a), Operand::Block(b)) => out.iter_mut().zip(b).for_each(
            #[inline(always)]
            |(out, b)| *out = f(a, *b),
        ),
        (Operand::Number(a), Operand::Number(b)) => out.fill(f(a, b)),
    }
}

/// Closures of these macros are inlined into the vector code whatever the optimiser thinks of their size.
macro_rules! map {
    ($out:ident, $a:ident, |$x:ident| $value:expr) => {
        map(
            $out,
            $a,
            #[inline(always)]
            |$x: T| $value,
        )
    };
}

macro_rules! zip {
    ($out:ident, $a:ident, $b:ident, |$x:ident, $y:ident| $value:expr) => {
        zip(
            $out,
            $a,
            $b,
            #[inline(always)]
            |$x: T, $y: T| $value,
        )
    };
}

/// `out = f(a)`.
#[inline(always)]
pub(crate) fn unary<T: Real>(f: Unary, out: &mut [T], a: Operand<'_, T>) {
    let half = T::of(0.5);
    match f {
        Unary::Neg => map!(out, a, |x| -x),
        Unary::Abs => map!(out, a, |x| x.magnitude()),
        Unary::Sign => map!(out, a, |x| if x > T::ZERO {
            T::ONE
        } else if x < T::ZERO {
            -T::ONE
        } else {
            x
        }),
        // Written so that NaN stays NaN.
        Unary::Step => map!(out, a, |x| if x > T::ZERO {
            T::ONE
        } else if x <= T::ZERO {
            T::ZERO
        } else {
            x
        }),
        Unary::Relu => map!(out, a, |x| if x <= T::ZERO { T::ZERO } else { x }),
        Unary::Exp => map!(out, a, |x| x.exp_both().1),
        Unary::Expm1 => map!(out, a, |x| x.exp_both().0),
        Unary::Log => map!(out, a, |x| x.log()),
        Unary::Sqrt => map!(out, a, |x| x.root()),
        Unary::Reciprocal => map!(out, a, |x| T::ONE / x),
        Unary::Tanh => map!(out, a, |x| {
            // tanh |x| = (1 - e) / (1 + e) with e = exp(-2|x|), from exp - 1 so that nothing cancels near 0.
            let (em1, _) = (T::of(-2.0) * x.magnitude()).exp_pair();
            let t = -em1 / (T::of(2.0) + em1);
            if x < T::ZERO { -t } else { t }
        }),
        Unary::Sigmoid => map!(out, a, |x| sigmoid(x).0),
        Unary::Softplus => map!(out, a, |x| {
            let positive = if x < T::ZERO { T::ZERO } else { x };
            positive + sigmoid(x).1.ln_1p()
        }),
        Unary::Erf => map!(out, a, |x| Real::erf(x)),
        Unary::NormalCdf => map!(out, a, |x| {
            // Phi(-|x|) = exp(-x^2/2) erfcx(|x|/sqrt 2) / 2.
            let (_, g) = (-half * x * x).exp_pair();
            let tail = half * g * (x.magnitude() * T::of(std::f64::consts::FRAC_1_SQRT_2)).erfcx();
            if x < T::ZERO { tail } else { T::ONE - tail }
        }),
        Unary::Sin => map!(out, a, |x| x.sine()),
        Unary::Cos => map!(out, a, |x| x.cosine()),
        Unary::Atan => map!(out, a, |x| T::of(x.to_f64().atan())),
        Unary::Floor => map!(out, a, |x| T::of(x.to_f64().floor())),
        Unary::Round => map!(out, a, |x| T::of(x.to_f64().round_ties_even())),
        Unary::Power(c) => match c.get() {
            1.0 => map!(out, a, |x| x),
            2.0 => map!(out, a, |x| x * x),
            3.0 => map!(out, a, |x| x * x * x),
            0.5 => map!(out, a, |x| x.root()),
            -1.0 => map!(out, a, |x| T::ONE / x),
            -0.5 => map!(out, a, |x| T::ONE / x.root()),
            -1.5 => map!(out, a, |x| T::ONE / (x * x.root())),
            c => map!(out, a, |x| x.power(c)),
        },
    }
}

/// sigmoid(x) and exp(-|x|).
#[inline(always)]
fn sigmoid<T: Real>(x: T) -> (T, T) {
    let (_, e) = (-x.magnitude()).exp_pair();
    let large = T::ONE / (T::ONE + e);
    (if x < T::ZERO { e * large } else { large }, e)
}

/// `out = f(a, b)`.
#[inline(always)]
pub(crate) fn binary<T: Real>(f: Binary, out: &mut [T], a: Operand<'_, T>, b: Operand<'_, T>) {
    match f {
        Binary::Add => zip!(out, a, b, |a, b| a + b),
        Binary::Sub => zip!(out, a, b, |a, b| a - b),
        Binary::Mul => zip!(out, a, b, |a, b| a * b),
        Binary::Div => zip!(out, a, b, |a, b| a / b),
        // The second where it is better or NaN.
        Binary::Max => zip!(out, a, b, |a, b| if (b > a) | b.undefined() { b } else { a }),
        Binary::Min => zip!(out, a, b, |a, b| if (b < a) | b.undefined() { b } else { a }),
        Binary::Less => zip!(out, a, b, |a, b| if a < b { T::ONE } else { T::ZERO }),
        Binary::Equal => zip!(out, a, b, |a, b| if a == b { T::ONE } else { T::ZERO }),
    }
}

/// `out = a` where the condition is not 0, else `b`.
#[inline(always)]
pub(crate) fn select<T: Real>(out: &mut [T], condition: Operand<'_, T>, a: Operand<'_, T>, b: Operand<'_, T>) {
    let condition = match condition {
        Operand::Block(condition) => condition,
        Operand::Number(c) => {
            let of = if c == T::ZERO { b } else { a };
            return map!(out, of, |x| x);
        }
    };
    match (a, b) {
        (Operand::Block(a), Operand::Block(b)) => {
            for (((out, c), a), b) in out.iter_mut().zip(condition).zip(a).zip(b) {
                *out = if *c == T::ZERO { *b } else { *a };
            }
        }
        (Operand::Block(a), Operand::Number(b)) => {
            for ((out, c), a) in out.iter_mut().zip(condition).zip(a) {
                *out = if *c == T::ZERO { b } else { *a };
            }
        }
        (Operand::Number(a), Operand::Block(b)) => {
            for ((out, c), b) in out.iter_mut().zip(condition).zip(b) {
                *out = if *c == T::ZERO { *b } else { a };
            }
        }
        (Operand::Number(a), Operand::Number(b)) => {
            out.iter_mut().zip(condition).for_each(|(out, c)| *out = if *c == T::ZERO { b } else { a });
        }
    }
}
