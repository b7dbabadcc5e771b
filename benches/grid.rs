//! Seconds of processor time to compute the barcode of a .npy file, reading left out: `cargo bench --bench grid -- FILE [degree] [threads]
//! [repeats]`. Prints one line of seconds and the number of bars of each degree; `benches/peers/grid.py` compares.

use mountainpass::machine::pool::Pool;
use mountainpass::morse::grid::{Grid, Sampling};
use mountainpass::persistence::of_grid::{Wanted, canonical};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |at: usize, default: usize| arguments.get(at).and_then(|n| n.parse().ok()).unwrap_or(default);
    let Some(file) = arguments.first() else { return println!("give a .npy file: see benches/peers/grid.py") };
    let array = mountainpass::npy::read(file.as_ref()).unwrap();
    let (max_degree, pool) = (number(1, usize::MAX), Pool::new(number(2, 1)));
    let mut seconds = Vec::new();
    let mut counts = Vec::new();
    for _ in 0..number(3, 1) {
        let array = array.clone();
        let begun = processor_time();
        let grid = Grid::new(array, Sampling::default()).unwrap();
        let found = canonical(&grid, Wanted { max_degree, ..Wanted::default() }, &pool);
        seconds.push(processor_time() - begun);
        let axes = grid.shape.axes() as u32;
        counts = (0..axes).map(|degree| found.pairs.iter().filter(|pair| pair.degree == degree).count()).collect();
    }
    let seconds: Vec<String> = seconds.iter().map(|s| format!("{s:.4}")).collect();
    println!("seconds {} bars {counts:?}", seconds.join(" "));
}

/// Seconds of processor time of this process.
fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime fills the record.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
