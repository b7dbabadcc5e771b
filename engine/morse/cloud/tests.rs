//! Neighbours against brute force, ties and equal points above all.

use super::*;
use crate::npy::Array;
use proptest::prelude::*;

fn cloud(d: usize, coordinates: Vec<f64>) -> Cloud {
    let n = coordinates.len() / d;
    Cloud::of_array(&Array { shape: vec![n, d], values: coordinates.into() }).unwrap()
}

/// The k nearest of each point, by sorting all.
fn sorted(cloud: &Cloud, k: usize) -> Vec<u32> {
    let n = cloud.points() as u32;
    let nearest = |i: u32| {
        let mut all: Vec<(f64, u32)> = (0..n).filter(|&j| j != i).map(|j| (cloud.distance(i, j), j)).collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap());
        all.into_iter().take(k).map(|(_, j)| j).collect::<Vec<u32>>()
    };
    (0..n).flat_map(nearest).collect()
}

/// Clouds with ties: coordinates on a coarse lattice, far from the origin or not, or anywhere; some are the same at all
/// points.
fn clouds() -> impl Strategy<Value = Cloud> {
    (1_usize..12, 2_usize..120, 0_usize..4, any::<u64>(), any::<u16>()).prop_map(|(d, n, kind, seed, shared)| {
        let random =
            |i: usize| (seed | 1).wrapping_mul(i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        let coordinate = |i: usize| match kind {
            _ if shared >> (i % d) & 1 == 1 => [0.0, -0.0][i / d % 2] + (i % d) as f64 / 4.0,
            0 => (random(i) % 3) as f64,
            1 => 1e6 + (random(i) % 5) as f64 / 8.0,
            2 => random(i) as f64 / u64::MAX as f64 - 0.5,
            _ => (random(i) % 2) as f64 * 1e3 + random(i) as f64 / u64::MAX as f64 * 1e-4, // Heaps.
        };
        cloud(d, (0..n * d).map(coordinate).collect())
    })
}

proptest! {
    #[test]
    fn neighbours_are_those_of_brute_force(cloud in clouds(), k: usize, threads in 1_usize..4) {
        let k = 1 + k % (cloud.points() - 1);
        let expected = sorted(&cloud, k);
        prop_assert_eq!(&cloud.neighbours(k, &Pool::new(threads)).unwrap(), &expected);
        // The other road, which the dimension did not choose.
        prop_assert_eq!(&product::neighbours(&cloud, k, &Pool::new(1)), &expected);
    }

    #[test]
    fn edges_reach_as_far_as_the_radius(cloud in clouds(), radius in 0.01_f64..4.0) {
        let k = 4.min(cloud.points() - 1);
        let edges = cloud.edges(k, Some(radius), &Pool::new(1)).unwrap();
        let all = sorted(&cloud, k);
        let expected: Vec<[u32; 2]> = (0..all.len())
            .map(|i| [(i / k) as u32, all[i]])
            .filter(|&[i, j]| cloud.distance(i, j) <= radius * radius)
            .collect();
        prop_assert_eq!(edges, expected);
    }
}

#[test]
fn many_equal_points_are_no_harder() {
    for d in [1, 3, 8, 9] {
        let equal = cloud(d, vec![0.25; d * 3000]);
        for found in [equal.neighbours(3, &Pool::new(2)).unwrap(), product::neighbours(&equal, 3, &Pool::new(2))] {
            assert_eq!(found[..12], [1, 2, 3, 0, 2, 3, 0, 1, 3, 0, 1, 2]);
            assert!(found[12..].chunks(3).all(|row| row == [0, 1, 2]));
        }
    }
}

#[test]
fn coordinates_that_all_points_share_are_left_out() {
    let of = |coordinates: &[f64]| cloud(3, coordinates.to_vec()).varying().map(|cloud| (cloud.d, cloud.coordinates));
    assert_eq!(of(&[0.0, 1.0, 7.0, -0.0, 2.0, 7.0]), Some((1, vec![1.0, 2.0])));
    assert_eq!(of(&[0.0, 1.0, 7.0, 0.5, 2.0, 8.0]), None);
    assert_eq!(of(&[5.0, 1.0, 7.0, 5.0, 1.0, 7.0]), Some((1, vec![5.0, 5.0])));
}

#[test]
fn both_zeros_and_vanishing_squares_are_one_distance() {
    for d in [1, 9] {
        let column = [0.0, -0.0, 1e-200, -1e-200, 1.0];
        let cloud = cloud(d, column.iter().flat_map(|&x| vec![x; d]).collect());
        assert_eq!(cloud.neighbours(3, &Pool::new(1)).unwrap(), sorted(&cloud, 3), "{d} dimensions");
    }
}

#[test]
fn bad_input_is_one_clear_line() {
    let of =
        |shape: &[usize], values: Vec<f64>| Cloud::of_array(&Array { shape: shape.to_vec(), values: values.into() });
    let refused = |shape: &[usize], values: Vec<f64>| of(shape, values).unwrap_err().to_string();
    assert_eq!(refused(&[0, 3], vec![]), "the points have shape [0, 3]: there are none");
    assert!(refused(&[2, 0], vec![]).ends_with("there are none"));
    assert!(refused(&[1, 1, 1], vec![0.0]).ends_with("a point a row is needed"));
    let line = "coordinate 1 of point 1 is NaN: finite numbers up to 1e150 are needed";
    assert_eq!(refused(&[2, 2], vec![0.0, 1.0, 2.0, f64::NAN]), line);
    assert!(refused(&[1, 1], vec![1e200]).contains("finite numbers"));
    let two = of(&[2], vec![0.0, 1.0]).unwrap();
    let refused = |k, radius| two.edges(k, radius, &Pool::new(1)).unwrap_err().to_string();
    assert_eq!(refused(2, None), "k is 2, but 2 points have 1 neighbours each");
    assert!(refused(0, None).starts_with("k is 0"));
    assert!(refused(1, Some(f64::NAN)).starts_with("the radius is NaN"));
}
