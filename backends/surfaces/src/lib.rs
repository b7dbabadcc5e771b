//! Closed-form losses with known answers: the smallest Rust backend to read.
//!
//! A surface is one file that implements [`Surface`] and one line in [`surface`]; everything a backend needs beside
//! the mathematics is in this file and in `loss.rs`. Values are computed in f64 whatever theta travels as.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod alpine01;
mod bend;
mod himmelblau;
mod kinked;
mod lennard_jones;
mod loss;
mod mueller_brown;
mod p_spin;
mod quadratic;
mod rastrigin;
mod rosenbrock;
mod schwefel;
mod separable;
mod six_hump_camel;
mod surface;
mod three_hump_camel;
mod torus;
mod xin_she_yang_4;

pub use bend::Bend;
pub use loss::SurfaceLoss;
pub use surface::{Answers, CriticalPoint, Kinks, Surface};

use mountainpass_sdk::{Backend, Declared, Error, Host, Kind, Open};
use std::ffi::CStr;
use surface::dimensions;

/// The models, in the order in which messages list them.
pub const MODELS: [&str; 14] = [
    "three-hump-camel",
    "mueller-brown",
    "himmelblau",
    "quadratic",
    "torus",
    "six-hump-camel",
    "rastrigin",
    "schwefel",
    "alpine01",
    "xin-she-yang-4",
    "rosenbrock",
    "lennard-jones",
    "p-spin",
    "kinked",
];

/// The surface a request names; reads the options of that surface and no others.
pub fn surface(request: &mut Open<'_>) -> Result<Box<dyn Surface>, Error> {
    match request.model.unwrap_or_default() {
        "three-hump-camel" => Ok(Box::new(three_hump_camel::ThreeHumpCamel)),
        "mueller-brown" => Ok(Box::new(mueller_brown::MuellerBrown)),
        "himmelblau" => Ok(Box::new(himmelblau::Himmelblau)),
        "quadratic" => Ok(Box::new(quadratic::Quadratic::open(request)?)),
        "torus" => Ok(Box::new(torus::Torus::open(request)?)),
        "six-hump-camel" => Ok(Box::new(six_hump_camel::SixHumpCamel)),
        "rastrigin" => Ok(Box::new(rastrigin::Rastrigin::new(dimensions(request)?))),
        "schwefel" => Ok(Box::new(schwefel::Schwefel::new(dimensions(request)?))),
        "alpine01" => Ok(Box::new(alpine01::Alpine01::new(dimensions(request)?))),
        "xin-she-yang-4" => Ok(Box::new(xin_she_yang_4::XinSheYang4::open(request)?)),
        "rosenbrock" => Ok(Box::new(rosenbrock::Rosenbrock::open(request)?)),
        "lennard-jones" => Ok(Box::new(lennard_jones::LennardJones::open(request)?)),
        "p-spin" => Ok(Box::new(p_spin::PSpin::open(request)?)),
        "kinked" => Ok(Box::new(kinked::Kinked::open(request)?)),
        other => Err(Error::unknown("model", other, &MODELS)),
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
    const OPTIONS: &'static [Declared] = &[
        Declared::new(c"n", Kind::Integer, c"The number of dimensions, of a surface that has any number of them.")
            .default(c"2"),
        Declared::new(c"spins", Kind::Integer, c"The number of spins of a p-spin.").default(c"8"),
        Declared::new(c"seed", Kind::Integer, c"Of the couplings of a p-spin.").default(c"5"),
        Declared::new(c"condition", Kind::Number, c"The largest eigenvalue of the quadratic over its smallest.")
            .default(c"10"),
        Declared::new(c"atoms", Kind::Integer, c"The number of atoms of a Lennard-Jones cluster.").default(c"7"),
    ];
    type Loss = SurfaceLoss;

    fn open(_: Host<'_>, mut request: Open<'_>) -> Result<SurfaceLoss, Error> {
        let surface = surface(&mut request)?;
        request.finish()?;
        Ok(SurfaceLoss::new(request.model.unwrap_or_default(), surface))
    }
}
