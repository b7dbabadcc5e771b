//! Reading an array takes the array's memory and a block: numbers go from the file to where they stay.

mod archive;

use archive::zip;
use mountainpass_network::checkpoint::Checkpoint;
use mountainpass_network::{Dataset, npz};
use mountainpass_sdk::npy::{self, Array, Values};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, which knows how much there is and how much there ever was.
struct Counted;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    PEAK.fetch_max(NOW.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; moving a block counts as having both.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

const COUNT: usize = 1 << 20;

/// How many bytes a call takes at the most, beside what there was before.
fn peak<T>(call: impl FnOnce() -> T) -> (usize, T) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = call();
    (PEAK.load(Relaxed) - before, result)
}

/// A .npy file of `COUNT` elements of this type, all bytes zero, of 1024 rows.
fn file(folder: &Path, descr: &str, fortran: bool) -> File {
    let width: usize = descr[2..].parse().unwrap();
    let order = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': (1024, {}), }}", COUNT / 1024);
    let path = folder.join("a.npy");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((10 + header.len() + COUNT * width) as u64).unwrap();
    File::open(path).unwrap()
}

/// A .npz file of one member.
fn npz_file(folder: &Path, packed: bool) -> PathBuf {
    let data = npy::bytes(&Array { shape: vec![COUNT], values: vec![0.5_f32; COUNT].into() });
    let path = folder.join("a.npz");
    std::fs::write(&path, zip(&[("theta.npy", data)], packed)).unwrap();
    path
}

fn assert_lean(what: &str, bytes: usize, peak: usize) {
    assert!(peak as f64 <= 1.2 * bytes as f64, "{what}: {peak} bytes for an array of {bytes}");
}

// One test: the allocator counts for the whole process.
#[test]
fn an_array_is_read_into_its_own_memory() {
    let folder = std::env::temp_dir().join(format!("mountainpass-peak-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for descr in ["<f8", ">f8", "<f4", ">i2", "|b1", "<u8"] {
        for fortran in [false, true] {
            let what = format!("{descr}, Fortran order: {fortran}");
            let open = || (file(&folder, descr, fortran), file(&folder, descr, fortran).metadata().unwrap().len());
            let (from, length) = open();
            let (peak_of_own, array) = peak(|| npy::read(from, Some(length)).unwrap());
            assert_eq!((&array.shape[..], array.values.len()), (&[1024, COUNT / 1024][..], COUNT));
            assert_lean(&what, COUNT * descr[2..].parse::<usize>().unwrap(), peak_of_own);
            drop(array);
            let (from, length) = open();
            let (peak_of_wide, wide) = peak(|| npy::widened(from, Some(length)).unwrap());
            assert_eq!(wide.values.len(), COUNT);
            assert_lean(&format!("{what}, widened"), COUNT * 8, peak_of_wide);
        }
    }
    for packed in [false, true] {
        let path = npz_file(&folder, packed);
        let (peak_of_own, arrays) = peak(|| npz::read(&path).unwrap());
        assert_eq!(arrays[0].1.values, Values::F32(vec![0.5; COUNT]));
        assert_lean(&format!(".npz, packed: {packed}"), COUNT * 4, peak_of_own);
        drop(arrays);
        let (peak_of_theta, (theta, _)) = peak(|| Checkpoint::read(&path).unwrap().theta(&[], COUNT, None).unwrap());
        assert_eq!(theta.len(), COUNT);
        assert_lean(&format!("theta of a .npz, packed: {packed}"), COUNT * 8, peak_of_theta);
    }
    // Images of a byte a pixel: their bytes, and four for each label.
    let images = folder.join("images");
    std::fs::create_dir_all(&images).unwrap();
    let n = COUNT / 1024;
    let idx = |name: &str, shape: &[usize]| {
        let mut bytes = (0x0800 | shape.len() as u32).to_be_bytes().to_vec();
        shape.iter().for_each(|d| bytes.extend((*d as u32).to_be_bytes()));
        bytes.resize(bytes.len() + shape.iter().product::<usize>(), 0);
        std::fs::write(images.join(name), bytes).unwrap();
    };
    idx("train-images-idx3-ubyte", &[n, 32, 32]);
    idx("train-labels-idx1-ubyte", &[n]);
    let (peak_of_images, set) = peak(|| Dataset::open(&images.display().to_string()).unwrap());
    assert_eq!(set.train.n, n);
    assert_lean("IDX", COUNT + 5 * n, peak_of_images - 2 * mountainpass_sdk::memory::BLOCK);
    std::fs::remove_dir_all(folder).unwrap();
}
