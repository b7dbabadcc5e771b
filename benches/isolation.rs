//! What isolation costs: the round trip of a batch to the process of an isolated backend, beside a bare futex ping-pong
//! between two processes in turn with it, and beside the same batch in this process; and what its copies cost, on rows
//! that cost nothing themselves.
//!
//! `cargo bench --bench isolation`

use mountainpass::loss::{Batch, Isolation, Limits, Loss, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::run::Cancel;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Rounds, and trips of each kind in a round.
const ROUNDS: usize = 60;
const TRIPS: usize = 400;
/// The rows of a large batch: 12 MB there and back.
const ROWS: usize = 1 << 18;

/// Two processes that wake each other by a futex each and do nothing else.
struct PingPong {
    words: &'static [AtomicU32; 2],
    other: libc::pid_t,
    turn: u32,
}

fn futex(word: &AtomicU32, operation: libc::c_int, value: u32) {
    let forever = std::ptr::null::<libc::timespec>();
    // SAFETY: the word is in a mapping that stays.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, forever) };
}

fn send(word: &AtomicU32, turn: u32) {
    word.store(turn, Ordering::SeqCst);
    futex(word, libc::FUTEX_WAKE, 1);
}

fn await_turn(word: &AtomicU32, turn: u32) {
    loop {
        match word.load(Ordering::SeqCst) {
            now if now == turn => return,
            now => futex(word, libc::FUTEX_WAIT, now),
        }
    }
}

impl PingPong {
    /// Forks; before this process has any thread.
    fn new() -> PingPong {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh page.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        // SAFETY: its first bytes are two words, touched as atomics only.
        let words = unsafe { &*page.cast::<[AtomicU32; 2]>() };
        // SAFETY: the copy uses only the two words.
        let other = unsafe { libc::fork() };
        assert!(other >= 0);
        if other == 0 {
            for turn in 1.. {
                await_turn(&words[0], turn);
                send(&words[1], turn);
            }
        }
        PingPong { words, other, turn: 0 }
    }

    fn trip(&mut self) {
        self.turn += 1;
        send(&self.words[0], self.turn);
        await_turn(&self.words[1], self.turn);
    }
}

impl Drop for PingPong {
    fn drop(&mut self) {
        // SAFETY: our own child.
        unsafe { libc::kill(self.other, libc::SIGKILL) };
        // SAFETY: as above.
        unsafe { libc::waitpid(self.other, std::ptr::null_mut(), 0) };
    }
}

fn batch(loss: &mut dyn Loss, cancel: &Cancel, theta: &[f64]) {
    let (mut value, mut ok) = ([0.0; 1], [false; 1]);
    let n = theta.len() / loss.info().params;
    let mut grad = [0.0; 2];
    eval(loss, cancel, theta, &mut value[..n], &mut grad[..theta.len()], &mut ok[..n]);
    black_box((value, grad));
}

fn eval(loss: &mut dyn Loss, cancel: &Cancel, theta: &[f64], value: &mut [f64], grad: &mut [f64], ok: &mut [bool]) {
    let batch = Batch { theta, ids: None, loss: value, grad: Some(grad), hvp: None, ok, cancel };
    loss.eval(batch).expect("the batch");
}

/// The least time of a large batch, a row of it in nanoseconds.
fn large(loss: &mut dyn Loss, cancel: &Cancel) -> f64 {
    let theta: Vec<f64> = (0..2 * ROWS).map(|i| (i as f64).sin()).collect();
    let (mut value, mut grad, mut ok) = (vec![0.0; ROWS], vec![0.0; 2 * ROWS], vec![false; ROWS]);
    let mut time = || {
        let since = Instant::now();
        eval(loss, cancel, &theta, &mut value, &mut grad, &mut ok);
        since.elapsed().as_secs_f64() * 1e9 / ROWS as f64
    };
    (0..20).map(|_| time()).fold(f64::INFINITY, f64::min)
}

fn open(isolated: bool) -> Box<dyn Loss> {
    let mut registry = Registry::new();
    if isolated {
        let isolation = Isolation::new(env!("CARGO_BIN_EXE_mpass").into(), Limits::default()).expect("isolation");
        registry = registry.isolated(Arc::new(isolation));
    }
    registry.register::<mountainpass_surfaces::Surfaces>().expect("the backend");
    let request = OpenRequest { model: "himmelblau".into(), ..OpenRequest::default() };
    registry.open("surfaces", &request, Arc::new(Pool::new(1))).expect("the loss")
}

fn main() {
    let mut bare = PingPong::new();
    let (mut here, mut apart, cancel) = (open(false), open(true), Cancel::default());
    let mut times: [Vec<u64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (kind, times) in times.iter_mut().enumerate() {
            for _ in 0..TRIPS {
                let since = Instant::now();
                match kind {
                    0 => bare.trip(),
                    1 => batch(&mut *apart, &cancel, &[]),
                    2 => batch(&mut *apart, &cancel, &[0.5, -0.5]),
                    _ => batch(&mut *here, &cancel, &[0.5, -0.5]),
                }
                times.push(since.elapsed().as_nanos() as u64);
            }
        }
    }
    let names = ["bare futex ping-pong", "isolated, empty batch", "isolated, 1 row", "in this process, 1 row"];
    let mut medians = Vec::new();
    for (name, mut times) in names.into_iter().zip(times) {
        times.sort_unstable();
        let [low, median, high] = [5, 50, 95].map(|part| times[times.len() * part / 100] as f64 / 1e3);
        let mean = times.iter().sum::<u64>() as f64 / times.len() as f64 / 1e3;
        println!("{name:<24} {median:>7.2} us median, {mean:>7.2} us mean, {low:.2} to {high:.2} us (5 % to 95 %)");
        medians.push(median);
    }
    println!("isolated, empty / bare    {:>6.2}", medians[1] / medians[0]);
    let [apart, here] = [&mut apart, &mut here].map(|loss| large(&mut **loss, &cancel));
    println!("a row of {ROWS}, least     {apart:>6.1} ns isolated, {here:.1} ns in this process");
}
