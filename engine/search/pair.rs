//! Two points that were given, and what lies between them: on the straight line as they are, on the straight line after
//! alignment, and on the lowest way that was found.

use super::metric::Metric;
use serde::{Deserialize, Serialize};

/// What lies between two given points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The places of the two among those that were given, smaller first.
    pub given: (u64, u64),
    /// The straight line between the points as they are.
    pub raw: Along,
    /// The straight line from the first to the nearest copy of the second; `None` where the loss declares no symmetry.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub aligned: Option<Along>,
    /// The lowest way between the minima that the two are, or lead to; `None` where none was found.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<Way>,
}

/// A way between two minima, over others perhaps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// The cells of the minima at its ends, once the same where the two are one.
    pub minima: (u64, u64),
    /// The paths that it is made of, in order.
    pub paths: Vec<u64>,
    /// The loss along it.
    #[serde(flatten)]
    pub along: Along,
}

/// The loss along a curve.
///
/// L(t) is the loss at a fraction t of the length. What is not finite is infinite here, and null in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Along {
    /// How long the curve is.
    #[serde(deserialize_with = "or_infinite")]
    pub length: f64,
    /// The highest loss on it.
    #[serde(deserialize_with = "or_infinite")]
    pub height: f64,
    /// How far that lies above the higher end: what a barcode measures.
    #[serde(deserialize_with = "or_infinite")]
    pub climb: f64,
    /// The largest L(t) - ((1 - t) L(0) + t L(1)): what the literature on mode connectivity calls the barrier.
    #[serde(deserialize_with = "or_infinite")]
    pub barrier: f64,
    /// Where that is.
    pub worst: Place,
    /// The loss at evenly spaced fractions of the length, both ends among them.
    #[serde(deserialize_with = "all_or_infinite")]
    pub loss: Vec<f64>,
    /// The loss's own metrics there, in their order.
    #[serde(with = "by_word")]
    pub metrics: Vec<(Metric, Vec<f64>)>,
}

/// A place on a curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The fraction of the length.
    pub t: f64,
    /// The loss there.
    #[serde(deserialize_with = "or_infinite")]
    pub loss: f64,
    /// The loss's own metrics there.
    #[serde(with = "by_word")]
    pub metrics: Vec<(Metric, f64)>,
}

impl Along {
    /// The least and the largest of a metric on the curve, the worst place among it.
    pub fn range(&self, of: &Metric) -> Option<(f64, f64)> {
        let (_, values) = self.metrics.iter().find(|(metric, _)| metric == of)?;
        let worst = self.worst.metrics.iter().filter(|(metric, _)| metric == of).map(|(_, value)| value);
        let ends = |(low, high): (f64, f64), x: &f64| (low.min(*x), high.max(*x));
        Some(values.iter().chain(worst).fold((f64::INFINITY, f64::NEG_INFINITY), ends))
    }
}

fn or_infinite<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::INFINITY))
}

fn all_or_infinite<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let all = Vec::<Option<f64>>::deserialize(from)?;
    Ok(all.into_iter().map(|x| x.unwrap_or(f64::INFINITY)).collect())
}

/// Values by the words of their metrics, as an object that keeps its order.
mod by_word {
    use super::Metric;
    use serde::de::{MapAccess, Visitor};
    use serde::ser::SerializeMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::fmt;
    use std::marker::PhantomData;

    /// A number, or a list of them, that may be null.
    pub trait Values: Sized {
        type Written: for<'de> Deserialize<'de>;
        fn of(written: Self::Written) -> Self;
    }

    impl Values for f64 {
        type Written = Option<f64>;
        fn of(written: Option<f64>) -> f64 {
            written.unwrap_or(f64::INFINITY)
        }
    }

    impl Values for Vec<f64> {
        type Written = Vec<Option<f64>>;
        fn of(written: Vec<Option<f64>>) -> Vec<f64> {
            written.into_iter().map(f64::of).collect()
        }
    }

    pub fn serialize<T: Serialize, S: Serializer>(pairs: &[(Metric, T)], to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(pairs.len()))?;
        pairs.iter().try_for_each(|(metric, value)| map.serialize_entry(metric, value))?;
        map.end()
    }

    pub fn deserialize<'de, T: Values, D: Deserializer<'de>>(from: D) -> Result<Vec<(Metric, T)>, D::Error> {
        struct Pairs<T>(PhantomData<T>);
        impl<'de, T: Values> Visitor<'de> for Pairs<T> {
            type Value = Vec<(Metric, T)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of metrics")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((metric, value)) = map.next_entry::<Metric, T::Written>()? {
                    pairs.push((metric, T::of(value)));
                }
                Ok(pairs)
            }
        }
        from.deserialize_map(Pairs(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Split;

    #[test]
    fn a_pair_comes_back_from_its_text_to_the_last_bit() {
        let metric = |split, name: &str| Metric::Of(split, name.to_owned());
        let (train, test) = (metric(Split::Train, "loss"), metric(Split::Test, "accuracy"));
        let along = Along {
            length: 0.1 + 0.2,
            height: f64::INFINITY,
            climb: f64::INFINITY,
            barrier: f64::INFINITY,
            worst: Place { t: 0.3, loss: f64::INFINITY, metrics: vec![(train.clone(), 1e-300)] },
            loss: vec![1.0 / 3.0, f64::INFINITY, -0.0],
            // Not in the order of their words.
            metrics: vec![(train, vec![f64::INFINITY, 2.0, 3.0]), (test.clone(), vec![0.25, 0.5, 1.0])],
        };
        let way = Way { minima: (3, 7), paths: vec![2, 9], along: along.clone() };
        let pair = Pair { given: (0, 4), raw: along.clone(), aligned: None, path: Some(way) };
        let text = serde_json::to_string(&pair).unwrap();
        let back: Pair = serde_json::from_str(&text).unwrap();
        assert_eq!((&back, serde_json::to_string(&back).unwrap()), (&pair, text));
        assert_eq!(back.raw.loss[2].to_bits(), (-0.0f64).to_bits());
        assert_eq!(along.range(&test), Some((0.25, 1.0)));
    }
}
