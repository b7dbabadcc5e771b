//! A whole mountainpass backend in Rust. Copy this folder, edit the two functions, then
//! `cargo build --release`, `mpass check target/release/libmpass_mine.so`, `mpass run mine.toml`.
//!
//! As it stands it fits a small network to measured points. With `units` units, theta is `(a_0, b_0, c_0,
//! a_1, ...)`, sample i is the point `(t[i], y[i])`, and
//!
//! ```text
//! loss(theta) = mean over i of (sum over j of a_j tanh(b_j t[i] + c_j) - y[i])^2 + l2 |theta|^2
//! ```
//!
//! The units may be exchanged and each of them negated without a change: declared, so that copies of a minimum count
//! once. The points are those below, or two arrays `t` and `y` handed over in memory. The page that goes with this
//! file is `docs/writing-a-backend.md`; the traits are `mountainpass-sdk`.

#![forbid(unsafe_code)]

use mountainpass_sdk::{
    Backend, Caps, Declared, Dtypes, Error, Eval, Host, Info, Kind, Loss, Matrix, MatrixMut, Open, Symmetry,
    SymmetryKind, abi,
};
use std::ffi::CStr;

mountainpass_sdk::export_backend!(Mine);

/// A wave, measured at t = -3, -2.75, ..., 2.75.
const Y: [f64; 24] = [
    0.37, 0.49, 0.64, 0.29, 0.25, -0.18, -0.17, -0.45, -0.87, -1.02, -0.75, -0.46, -0.06, 0.45, 0.68, 0.95, 1.03, 0.78,
    0.39, 0.17, -0.44, -0.84, -0.96, -1.01,
];

/// One open loss.
struct Fit {
    units: usize,
    l2: f64,
    t: Vec<f64>,
    y: Vec<f64>,
}

impl Fit {
    /// EDIT 1: the loss of sample `i`. The loss is the mean of these over the samples, regulariser included.
    fn loss(&self, i: usize, theta: &[f64]) -> f64 {
        let fitted: f64 = theta.chunks_exact(3).map(|unit| unit[0] * (unit[1] * self.t[i] + unit[2]).tanh()).sum();
        (fitted - self.y[i]).powi(2) + self.l2 * theta.iter().map(|x| x * x).sum::<f64>()
    }

    /// EDIT 2: its gradient, added to what is in `grad`.
    fn gradient(&self, i: usize, theta: &[f64], grad: &mut [f64]) {
        let fitted: f64 = theta.chunks_exact(3).map(|unit| unit[0] * (unit[1] * self.t[i] + unit[2]).tanh()).sum();
        let slope = 2.0 * (fitted - self.y[i]);
        for (unit, out) in theta.chunks_exact(3).zip(grad.chunks_exact_mut(3)) {
            let tanh = (unit[1] * self.t[i] + unit[2]).tanh();
            let inner = slope * unit[0] * (1.0 - tanh * tanh);
            out[0] += slope * tanh + 2.0 * self.l2 * unit[0];
            out[1] += inner * self.t[i] + 2.0 * self.l2 * unit[1];
            out[2] += inner + 2.0 * self.l2 * unit[2];
        }
    }
}

/// The backend.
struct Mine;

impl Backend for Mine {
    const NAME: &'static CStr = c"mine";
    const VERSION: &'static CStr = c"1.0";
    const OPTIONS: &'static [Declared] = &[
        Declared::new(c"units", Kind::Integer, c"The number of units.").default(c"2"),
        Declared::new(c"l2", Kind::Number, c"The penalty is l2 times the sum of squares.").default(c"0.001"),
    ];
    type Loss = Fit;

    /// Reads the request; whatever is not asked for here is refused by name. `OPTIONS` has all that is.
    fn open(_: Host<'_>, mut request: Open<'_>) -> Result<Fit, Error> {
        if let Some(model) = request.model.filter(|model| *model != "tanh") {
            return Err(Error::unknown("model", model, &["tanh"]));
        }
        if request.model_bytes.is_some() {
            return Err(Error::unsupported("a model in memory: leave it out"));
        }
        let units = match request.parsed("units")?.unwrap_or(2) {
            units @ 1..=1000 => units,
            units => return Err(Error::argument(format!("option units: {units} is not from 1 to 1000"))),
        };
        let l2 = request.parsed("l2")?.unwrap_or(1e-3);
        if !(0.0..=1e300).contains(&l2) {
            return Err(Error::argument(format!("option l2: {l2} is no number from 0")));
        }
        request.finish()?;
        // Arrays are borrowed for the call only; `to_f64` copies.
        let (mut t, mut y) = ((0..24).map(|i| f64::from(i) / 4.0 - 3.0).collect(), Y.to_vec());
        for array in &request.data {
            match array.name() {
                "t" => t = array.to_f64()?,
                "y" => y = array.to_f64()?,
                other => return Err(Error::unknown("array", other, &["t", "y"])),
            }
        }
        if t.len() != y.len() || t.is_empty() {
            return Err(Error::argument(format!("{} t and {} y: hand over one of each a point", t.len(), y.len())));
        }
        Ok(Fit { units, l2, t, y })
    }
}

impl Loss for Fit {
    /// Claim only what holds. MANY: nothing changes in `eval` but its outputs. REPEATABLE: a row is summed by itself, in
    /// the order of its samples. SMOOTH: tanh is.
    fn info(&self) -> Info {
        let caps = Caps { grad: true, minibatch: true, many: true, repeatable: true, ..Caps::default() };
        Info {
            caps: Caps { cancel: true, smooth: true, ..caps },
            params: 3 * self.units as u64,
            samples: self.t.len() as u64,
            dtypes: Dtypes { f64: true, ..Dtypes::default() },
            ..Info::default()
        }
    }

    /// The sdk has refused what `info` does not offer: theta is f64, ids are in range and at least one.
    fn eval(&self, mut eval: Eval<'_>) -> Result<(), Error> {
        let Matrix::F64(theta) = eval.theta else { return Err(Error::unsupported("theta in f32")) };
        let count = eval.ids.map_or(self.t.len(), <[u64]>::len);
        for row in 0..theta.n() {
            let theta = theta.row(row);
            let mut grad = match &mut eval.grad {
                Some(MatrixMut::F64(grad)) => Some(grad.row(row)),
                _ => None,
            };
            if let Some(grad) = &mut grad {
                grad.fill(0.0);
            }
            let mut sum = 0.0;
            for k in 0..count {
                if k % 1024 == 0 && eval.cancel.fired() {
                    return Err(Error::cancelled());
                }
                let i = eval.ids.map_or(k, |ids| ids[k] as usize);
                sum += self.loss(i, theta);
                if let Some(grad) = &mut grad {
                    self.gradient(i, theta, grad);
                }
            }
            eval.loss[row] = sum / count as f64;
            let mut finite = eval.loss[row].is_finite();
            for slope in grad.into_iter().flatten() {
                *slope /= count as f64;
                finite &= slope.is_finite();
            }
            if !finite {
                eval.row_status[row] = abi::status::NUMERIC; // This row alone: the batch goes on.
            }
        }
        Ok(())
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        let blocks: Vec<Vec<u64>> = (0..self.units as u64).map(|j| vec![3 * j, 3 * j + 1, 3 * j + 2]).collect();
        [SymmetryKind::Permutation, SymmetryKind::Sign].map(|kind| Symmetry { kind, blocks: blocks.clone() }).into()
    }
}
