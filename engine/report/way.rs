//! How a run comes by its minima, in words: they stand in its provenance.

use crate::explore::{Plan, Way};
use crate::search::hop::Hop;
use crate::search::training::Training;
use crate::search::training::optimiser::Rule;

/// How minima are come by, where it is not by descents from starts alone; else nothing.
pub fn way(plan: &Plan) -> String {
    let polished = if plan.polish { ", then descents" } else { ", taken as they are" };
    match &plan.way {
        Way::Descents => String::new(),
        Way::Hops(Hop { step, temperature }) => {
            let told = |given: &Option<f64>| given.map_or("learned on the way".to_owned(), |x| x.to_string());
            format!("basin hopping (step {}, temperature {})", told(step), told(temperature))
        }
        Way::Training(Training { epochs, batch, optimiser, .. }) => {
            let with = match optimiser.rule {
                Rule::Sgd { .. } => "",
                Rule::Adam { decoupled: false, .. } => " with Adam",
                Rule::Adam { decoupled: true, .. } => " with AdamW",
            };
            format!("training for {epochs} epochs in minibatches of {batch}{with}{polished}")
        }
        Way::Given(_) => format!("points that were given{polished}"),
    }
}
