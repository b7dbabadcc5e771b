//! After the first call of its kind an evaluation asks the system for no memory, whatever the network, but for the lists of
//! the call's rows.

mod caller;

use caller::{Array, Call, Loss, Numbers};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's, counted.
struct Counted;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

#[cfg(target_arch = "x86_64")]
fn has_vectors() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_vectors() -> bool {
    false
}

#[test]
fn a_second_call_allocates_nothing_but_the_lists_of_its_rows() {
    let mut numbers = Numbers(1);
    let networks = [
        ("mlp:12-5-3:tanh", &[6, 12][..]),
        ("mlp:300-200-3:relu", &[6, 300]),
        ("cnn:6x6x1-2-3:relu:batchnorm", &[6, 1, 6, 6]),
        ("cnn:6x6x1-2-3:gelu:average", &[6, 1, 6, 6]),
        ("resnet9:4x4x1-3:relu", &[6, 1, 4, 4]),
        ("resnet9:4x4x1-3:tanh:batchnorm", &[6, 1, 4, 4]),
    ];
    // Without vectors faer's products take memory of their own.
    for (spec, shape) in networks.into_iter().filter(|_| has_vectors()) {
        let count: u64 = shape.iter().product();
        let x = numbers.vector(count as usize, 1.0);
        let y: Vec<f64> = (0..6).map(|i| f64::from(i % 3)).collect();
        let arrays = [Array::reals(c"x", shape, &x), Array::reals(c"y", &[6], &y)];
        let mut loss = Loss::open_arrays(1, spec, &[], &arrays).unwrap();
        let theta = loss.start(0);
        let call = Call::new(&theta);
        let mut buffers = loss.buffers::<f64>(1);
        loss.run(&call, &mut buffers);
        loss.run(&call, &mut buffers);
        let before = COUNT.load(Ordering::Relaxed);
        loss.run(&call, &mut buffers);
        let after = COUNT.load(Ordering::Relaxed);
        // Slices of the caller's memory, and what is wanted of each row: one list of each kind.
        assert!(after - before <= 3, "{spec}: {} allocations", after - before);
    }
}
