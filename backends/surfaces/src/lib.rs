//! Closed-form losses with known answers: the smallest Rust backend to read.
//!
//! A surface is one file that implements [`Surface`] and one line in [`surface`]; everything a backend needs beside
//! the mathematics is in this file. Values are computed in f64 whatever theta travels as.

#![forbid(unsafe_code)]

mod himmelblau;
mod mueller_brown;
mod quadratic;
mod surface;
mod three_hump_camel;
mod torus;

pub use surface::{Critical, Known, Surface};

use mountainpass_sdk::{
    Backend, Bounds, Caps, Dtypes, Error, Eval, Host, Identity, Info, Loss, MatrixMut, Open, Parameter, Symmetry,
};
use std::ffi::CStr;

/// The models, in the order in which messages list them.
pub const MODELS: [&str; 5] = ["three-hump-camel", "mueller-brown", "himmelblau", "quadratic", "torus"];

/// The surface a request names; reads the options of that surface and no others.
pub fn surface(request: &mut Open<'_>) -> Result<Box<dyn Surface>, Error> {
    match request.model.unwrap_or_default() {
        "three-hump-camel" => Ok(Box::new(three_hump_camel::ThreeHumpCamel)),
        "mueller-brown" => Ok(Box::new(mueller_brown::MuellerBrown)),
        "himmelblau" => Ok(Box::new(himmelblau::Himmelblau)),
        "quadratic" => Ok(Box::new(quadratic::Quadratic::open(request)?)),
        "torus" => Ok(Box::new(torus::Torus::open(request)?)),
        other => Err(Error::unknown("model", other, &MODELS)),
    }
}

/// The option `n`, the number of dimensions of a surface that has any number of them; 2 unless given.
fn dimensions(request: &mut Open<'_>) -> Result<usize, Error> {
    match request.parsed("n")?.unwrap_or(2) {
        n @ 1..=1_000_000 => Ok(n),
        n => Err(Error::argument(format!("option n: {n} is not a number of dimensions from 1 to 1000000"))),
    }
}

/// The backend `surfaces`.
pub struct Surfaces;

impl Backend for Surfaces {
    const NAME: &'static CStr = c"surfaces";
    const VERSION: &'static CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes())
    {
        Ok(version) => version,
        Err(_) => c"",
    };
    type Loss = Opened;

    fn open(_host: Host, mut request: Open<'_>) -> Result<Opened, Error> {
        let surface = surface(&mut request)?;
        request.finish()?;
        Ok(Opened { model: request.model.unwrap_or_default().to_owned(), surface })
    }
}

/// One open surface.
pub struct Opened {
    model: String,
    surface: Box<dyn Surface>,
}

impl Loss for Opened {
    fn info(&self) -> Info {
        Info {
            caps: Caps { grad: true, hvp: true, repeatable: true, cancel: true, smooth: true, ..Caps::default() },
            params: self.surface.n() as u64,
            dtypes: Dtypes { f32: true, f64: true },
            ..Info::default()
        }
    }

    fn eval(&mut self, mut eval: Eval<'_>) -> Result<(), Error> {
        let mut out = vec![0.0; self.surface.n()];
        for i in 0..eval.n() {
            if eval.cancel.fired() {
                return Err(Error::cancelled());
            }
            let x = eval.theta.row_f64(i);
            eval.loss[i] = self.surface.value(&x);
            let mut finite = eval.loss[i].is_finite();
            if let Some(grad) = &mut eval.grad {
                self.surface.gradient(&x, &mut out);
                finite &= fits(&out, grad);
                grad.set_row_f64(i, &out);
            }
            if let Some((dir, hvp)) = &mut eval.hvp {
                self.surface.product(&x, &dir.row_f64(i), &mut out);
                finite &= fits(&out, hvp);
                hvp.set_row_f64(i, &out);
            }
            if !finite {
                eval.row_status[i] = mountainpass_sdk::abi::status::NUMERIC;
            }
        }
        Ok(())
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter { name: "x".into(), shape: vec![self.surface.n() as u64], offset: 0 }]
    }

    /// Uniform in the box, from a generator of our own: the same start on every machine and in every version.
    fn start(&self, seed: u64) -> Result<Vec<f64>, Error> {
        let Bounds { lower, upper } = self.surface.bounds();
        let mut state = seed;
        let uniform =
            lower.iter().zip(&upper).map(|(l, u)| l + (u - l) * ((splitmix64(&mut state) >> 11) as f64 / TWO53));
        Ok(uniform.collect())
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(self.surface.bounds())
    }

    fn symmetries(&self) -> Vec<Symmetry> {
        self.surface.symmetries()
    }

    fn identity(&self) -> Identity {
        let options = format!("model = {}\n{}", self.model, self.surface.options());
        Identity { options, ..Identity::default() }
    }
}

/// True if every value is finite in the matrix's element type.
fn fits(values: &[f64], matrix: &MatrixMut<'_>) -> bool {
    match matrix {
        MatrixMut::F32(_) => values.iter().all(|&value| (value as f32).is_finite()),
        MatrixMut::F64(_) => values.iter().all(|value| value.is_finite()),
    }
}

const TWO53: f64 = (1_u64 << 53) as f64;

/// The next number of Steele, Lea and Flood's SplitMix64 (OOPSLA 2014).
fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
