//! Vectors of f32 and f64 whose width the machine decides at run time.

use pulp::Simd;

/// A number that vectors are made of.
pub trait Lanes: Copy {
    type Vector<S: Simd>: Copy;

    /// Every lane `x`.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;

    /// `a b + c` rounded once; on machines without such an instruction, twice.
    fn multiply_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;

    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// The whole vectors at the beginning of a slice.
    fn vectors<S: Simd>(x: &[Self]) -> &[Self::Vector<S>];

    fn vectors_mut<S: Simd>(x: &mut [Self]) -> &mut [Self::Vector<S>];

    /// Numbers in a vector.
    fn width<S: Simd>() -> usize {
        size_of::<Self::Vector<S>>() / size_of::<Self>()
    }
}

macro_rules! lanes {
    ($type:ident, $vector:ident, $splat:ident, $fma:ident, $add:ident, $sub:ident, $vectors:ident, $vectors_mut:ident) => {
        impl Lanes for $type {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: $type) -> S::$vector {
                simd.$splat(x)
            }

            #[inline(always)]
            fn multiply_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$fma(a, b, c)
            }

            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }

            #[inline(always)]
            fn minus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$sub(a, b)
            }

            #[inline(always)]
            fn vectors<S: Simd>(x: &[$type]) -> &[S::$vector] {
                S::$vectors(x).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(x: &mut [$type]) -> &mut [S::$vector] {
                S::$vectors_mut(x).0
            }
        }
    };
}

lanes!(f32, f32s, splat_f32s, mul_add_e_f32s, add_f32s, sub_f32s, as_simd_f32s, as_mut_simd_f32s);
lanes!(f64, f64s, splat_f64s, mul_add_e_f64s, add_f64s, sub_f64s, as_simd_f64s, as_mut_simd_f64s);
