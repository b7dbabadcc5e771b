//! One loss, called by several threads at once through the safe trait.

use mountainpass_sdk::{Backend, Cancel, Eval, Host, Loss, Matrix, MatrixMut, Open, Rows, RowsMut, Scalar, Split};
use std::sync::Barrier;

/// Kinds of call: all samples or some, either type, one row or several, metrics and kinks.
const KINDS: usize = 6;

/// What a call of one kind says, by its bits.
fn said(loss: &impl Loss, kind: usize) -> Vec<u64> {
    let ids = |step: u64| (0..loss.info().samples).step_by(step as usize).chain([1]).collect::<Vec<u64>>();
    match kind {
        0 => evaluated::<f64>(loss, 1, None),
        1 => evaluated::<f32>(loss, 3, None),
        2 => evaluated::<f64>(loss, 2, Some(&ids(2))),
        3 => evaluated::<f32>(loss, 1, Some(&ids(7))),
        4 => [Split::Train, Split::Test].into_iter().flat_map(|split| judged(loss, split)).collect(),
        _ => {
            let near = loss.kinks_near(Host::none(), &loss.start(4).unwrap(), 0.1).unwrap();
            assert!(!near.is_empty());
            near.iter().flat_map(|kink| [kink.id, kink.z.to_bits(), kink.delta.to_bits()]).collect()
        }
    }
}

/// A type that matrices are of.
trait Typed: Scalar {
    fn matrix(rows: Rows<'_, Self>) -> Matrix<'_>;
    fn matrix_mut(rows: RowsMut<'_, Self>) -> MatrixMut<'_>;
}

impl Typed for f32 {
    fn matrix(rows: Rows<'_, f32>) -> Matrix<'_> {
        Matrix::F32(rows)
    }
    fn matrix_mut(rows: RowsMut<'_, f32>) -> MatrixMut<'_> {
        MatrixMut::F32(rows)
    }
}

impl Typed for f64 {
    fn matrix(rows: Rows<'_, f64>) -> Matrix<'_> {
        Matrix::F64(rows)
    }
    fn matrix_mut(rows: RowsMut<'_, f64>) -> MatrixMut<'_> {
        MatrixMut::F64(rows)
    }
}

/// Losses, gradients and Hessian products.
fn evaluated<T: Typed>(loss: &impl Loss, n: usize, ids: Option<&[u64]>) -> Vec<u64> {
    let p = loss.info().params as usize;
    let starts = (0..n as u64).flat_map(|seed| loss.start(seed + 1).unwrap());
    let theta: Vec<T> = starts.map(T::from_f64).collect();
    let (mut grad, mut hvp) = (vec![T::from_f64(0.0); n * p], vec![T::from_f64(0.0); n * p]);
    let (mut losses, mut status) = (vec![0.0; n], vec![0; n]);
    loss.eval(Eval {
        theta: T::matrix(Rows::new(&theta, p)),
        ids,
        loss: &mut losses,
        grad: Some(T::matrix_mut(RowsMut::new(&mut grad, p))),
        hvp: Some((T::matrix(Rows::new(&theta, p)), T::matrix_mut(RowsMut::new(&mut hvp, p)))),
        row_status: &mut status,
        cancel: Cancel::never(),
        host: Host::none(),
    })
    .unwrap();
    let derivatives = grad.into_iter().chain(hvp).map(T::to_f64);
    losses.into_iter().chain(derivatives).map(f64::to_bits).collect()
}

fn judged(loss: &impl Loss, split: Split) -> Vec<u64> {
    let theta = loss.start(3).unwrap();
    let mut out = vec![0.0; loss.metrics(split).len()];
    loss.eval_metrics(Host::none(), split, Matrix::F64(Rows::new(&theta, theta.len())), &mut out).unwrap();
    out.into_iter().map(f64::to_bits).collect()
}

/// Threads let go together on a loss that nobody has called yet, each of which begins with a call of another kind, hear
/// what a loss says that is called by nobody else.
pub fn calls_at_once_say_what_each_says_alone<B: Backend>(model: &str, options: &[(&str, &str)]) {
    let open = || B::open(Host::none(), Open::new(model, options)).unwrap();
    let alone = open();
    assert!(alone.info().caps.many, "{model}");
    let wanted: Vec<Vec<u64>> = (0..KINDS).map(|kind| said(&alone, kind)).collect();
    for _ in 0..3 {
        let (shared, gate) = (open(), Barrier::new(KINDS));
        std::thread::scope(|scope| {
            for first in 0..KINDS {
                let (shared, gate, wanted) = (&shared, &gate, &wanted);
                scope.spawn(move || {
                    gate.wait();
                    for kind in (0..2 * KINDS).map(|turn| (first + turn) % KINDS) {
                        assert!(said(shared, kind) == wanted[kind], "{model}: a call of kind {kind}");
                    }
                });
            }
        });
    }
}
