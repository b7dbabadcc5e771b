//! What a database says of the run itself, beside what the run has found.

use crate::explore::AtPass;
use crate::persistence::Barcode;
use crate::run::Ended;
use crate::search::Pair;

/// The record of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRecord {
    /// What reports call the run.
    pub title: String,
    /// Wall-clock time spent so far, over all resumptions.
    pub seconds: f64,
    /// What two evaluations of one loss may differ by; `None` until it was measured, when there is no path yet.
    pub noise: Option<f64>,
    /// How the last run ended; `None` while it goes on, and after a kill.
    pub ended: Option<Ended>,
    /// The barcode of a sampled loss, which would take all its values to make again.
    pub barcode: Option<Barcode>,
    /// What a reader should know besides, a sentence each.
    pub notes: Vec<String>,
    /// The metrics at verified saddles and at the tops of the paths that decide bars.
    pub passes: Vec<AtPass>,
    /// What lies between given points, in their order.
    pub pairs: Vec<Pair>,
}

#[cfg(feature = "store")]
mod stored {
    use super::RunRecord;
    use crate::run::Ended;
    use crate::search::Pair;

    /// The key under which the noise is kept; a search keeps it as soon as it was measured.
    pub const NOISE: &str = "noise";
    /// How the keys of pairs begin; each is kept as soon as it was measured.
    const PAIR: &str = "pair ";

    /// The key of a pair.
    pub fn pair_key(pair: &Pair) -> String {
        format!("{PAIR}{} {}", pair.given.0, pair.given.1)
    }

    impl RunRecord {
        /// The record as words by name, as they are kept.
        pub(in crate::store) fn words(&self) -> serde_json::Result<Vec<(String, String)>> {
            // Taken apart by name: a new field must not be forgotten here.
            let RunRecord { title, seconds, noise, ended, barcode, notes, passes, pairs } = self;
            let mut words = vec![("title", title.clone()), ("seconds", seconds.to_string())];
            words.extend(noise.map(|noise| (NOISE, noise.to_string())));
            words.extend(ended.map(|ended| ("ended", ended.to_string())));
            if let Some(barcode) = barcode {
                words.push(("barcode", serde_json::to_string(barcode)?));
            }
            if !notes.is_empty() {
                words.push(("notes", serde_json::to_string(notes)?));
            }
            if !passes.is_empty() {
                words.push(("passes", serde_json::to_string(passes)?));
            }
            let mut words: Vec<(String, String)> =
                words.into_iter().map(|(key, word)| (key.to_owned(), word)).collect();
            for pair in pairs {
                words.push((pair_key(pair), serde_json::to_string(pair)?));
            }
            Ok(words)
        }

        /// Reads it back; what is amiss, if anything is, as half a sentence.
        pub(in crate::store) fn of(words: &[(String, String)]) -> Result<RunRecord, String> {
            let mut record = RunRecord::default();
            for (key, word) in words {
                let unreadable = || format!("{key} = {word:?}");
                let number = || word.parse().ok().filter(|x: &f64| *x >= 0.0).ok_or_else(unreadable);
                match key.as_str() {
                    "title" => record.title.clone_from(word),
                    "seconds" => record.seconds = number()?,
                    NOISE => record.noise = Some(number()?),
                    "ended" => record.ended = Some(Ended::of(word).ok_or_else(unreadable)?),
                    "barcode" => record.barcode = Some(serde_json::from_str(word).map_err(|e| format!("{key}: {e}"))?),
                    "notes" => record.notes = serde_json::from_str(word).map_err(|e| format!("{key}: {e}"))?,
                    "passes" => record.passes = serde_json::from_str(word).map_err(|e| format!("{key}: {e}"))?,
                    pair if pair.starts_with(PAIR) => {
                        record.pairs.push(serde_json::from_str(word).map_err(|e| format!("{key}: {e}"))?);
                    }
                    _ => return Err(unreadable()),
                }
            }
            record.pairs.sort_by_key(|pair| pair.given);
            match (record.ended, record.noise) {
                (Some(Ended::Complete), None) => Err("a run that is complete without its noise".to_owned()),
                _ => Ok(record),
            }
        }
    }
}
#[cfg(feature = "store")]
pub(super) use stored::{NOISE, pair_key};
