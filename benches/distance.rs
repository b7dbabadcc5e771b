//! How long a distance between two barcodes takes on one thread.
//!
//! `cargo bench --bench distance` prints a table over generated barcodes; with the argument `peer` it serves
//! `benches/peers/distance.py` instead (see [`peer`]).

use mountainpass::persistence::{Diagram, Interval, Metric, distance};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::time::Instant;

fn diagram(bars: impl IntoIterator<Item = [f64; 2]>) -> Diagram {
    let bars = bars.into_iter().map(|[birth, death]| Interval { degree: 0, birth, death: Some(death) });
    Diagram::new(bars.collect(), Some(false)).expect("bars of sublevel sets")
}

/// Pairs of barcodes of n bars: two samples of noise; one and its slightly moved copy; two of small whole numbers.
fn cases(n: usize) -> [(&'static str, Diagram, Diagram); 3] {
    let mut random = ChaCha8Rng::seed_from_u64(n as u64);
    let mut uniform = move || random.random::<f64>();
    let mut noise = |n: usize| -> Vec<[f64; 2]> {
        let mut bar = || {
            let birth = uniform();
            [birth, birth - 0.05 * (1.0 - uniform()).ln()]
        };
        (0..n).map(|_| bar()).collect()
    };
    let (one, other, moves) = (noise(n), noise(n), noise(n));
    let moved = one.iter().zip(&moves).map(|(bar, by)| [bar[0] + 1e-3 * by[0], bar[1] + 1e-3 * by[1]]);
    let whole = |bars: &[[f64; 2]]| diagram(bars.iter().map(|bar| bar.map(|x| (64.0 * x).round())).collect::<Vec<_>>());
    [
        ("moved", diagram(one.clone()), diagram(moved.collect::<Vec<_>>())),
        ("whole", whole(&one), whole(&other)),
        ("noise", diagram(one), diagram(other)),
    ]
}

fn table() {
    let wasserstein = |order, error| Metric::Wasserstein { order, relative_error: Some(error) };
    let exact = [1.0, 2.0, 3.5].map(|order| wasserstein(order, 0.0));
    let bound = [1.0, 2.0].map(|order| wasserstein(order, 0.01));
    for (n, metrics) in [(3000, &exact[..]), (50_000, &[Metric::Bottleneck][..]), (50_000, &bound[..])] {
        for metric in metrics {
            for (name, a, b) in cases(n) {
                let start = Instant::now();
                let found = distance(&a, &b, 0, *metric).expect("a distance");
                println!("{n:>6} bars, {name}: {:8.3} s  {:?} {}", start.elapsed().as_secs_f64(), metric, found.value);
            }
        }
    }
}

/// The side of a peer's script: answers lines. `read A B` reads two files of (birth, death) in f64; `bottleneck` and
/// `wasserstein Q ERROR` print the distance, its bound from below, and the seconds it took.
fn peer() {
    let mut read = (Diagram::default(), Diagram::default());
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<f64>().expect("a number");
        let metric = match words[0] {
            "read" => {
                let bars = |at: usize| {
                    let bytes = std::fs::read(Path::new(words[at])).expect("a file");
                    let values: Vec<f64> =
                        bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes"))).collect();
                    diagram(values.chunks_exact(2).map(|bar| [bar[0], bar[1]]))
                };
                read = (bars(1), bars(2));
                println!("done");
                continue;
            }
            "bottleneck" => Metric::Bottleneck,
            _ => Metric::Wasserstein { order: number(1), relative_error: Some(number(2)) },
        };
        let start = Instant::now();
        let found = distance(&read.0, &read.1, 0, metric).expect("a distance");
        println!("{:e} {:e} {}", found.value, found.lower, start.elapsed().as_secs_f64());
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "peer") {
        peer();
    } else {
        table();
    }
}
