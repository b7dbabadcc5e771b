//! What a backend offers beside its losses' values: parameters, starts, metrics, symmetries, identity. Part of the group
//! `open`.

use crate::check::plugin::OpenLoss;
use crate::check::test::{Outcome, Random, Subject, Test, fail};
use crate::loss::Split;

/// Their part of the list.
pub const TESTS: &[Test] = &[Test::new(
    "open.extensions",
    "Extensions that are offered answer, and what they say makes sense.",
    "Extensions the engine knows. A backend without them still works.",
    &["open.info"],
    extensions,
)];

fn extensions(subject: &Subject, random: &mut Random) -> Outcome {
    let id = c"org.mountainpass-check.no-such-thing/1";
    if subject.extension_size(id)?.is_some() {
        let got = format!("a record for {}", id.to_string_lossy());
        return Err(fail("NULL for an extension nobody knows", got));
    }
    let loss = subject.open()?;
    loss.parameters()?;
    loss.symmetries()?;
    loss.identity()?;
    starts(&loss, random)?;
    metrics(&loss, random)
}

/// Starts repeat for their seed and lie in the box.
fn starts(loss: &OpenLoss<'_>, random: &mut Random) -> Outcome {
    let bounds = loss.bounds()?;
    for _ in 0..4 {
        let seed = random.bits();
        let Some(start) = loss.start(seed)? else { return Ok(()) };
        if let Some(text) = start.strayed {
            return Err(fail("p values and no more", format!("start wrote {text}")).rule("writes p values"));
        }
        if let Some(at) = start.theta.iter().position(|x| !x.is_finite()) {
            let got = format!("theta[{at}] = {}", start.theta[at]);
            return Err(fail(format!("a finite start for seed {seed}"), got).rule("writes p values"));
        }
        let again = loss.start(seed)?.map(|start| start.theta).unwrap_or_default();
        if let Some(at) = (0..again.len()).find(|&i| again[i].to_bits() != start.theta[i].to_bits()) {
            let expected = format!("theta[{at}] = {} again for seed {seed}", start.theta[at]);
            return Err(fail(expected, format!("{}", again[at])).rule("The same seed gives the same start."));
        }
        let Some(bounds) = &bounds else { continue };
        let sides = bounds.lower.iter().zip(&bounds.upper);
        if let Some((at, (low, high))) =
            sides.enumerate().find(|(i, (low, high))| !(**low..=**high).contains(&start.theta[*i]))
        {
            let expected = format!("theta[{at}] in [{low}, {high}] for seed {seed}");
            return Err(fail(expected, format!("{}", start.theta[at])).rule("Where a search begins."));
        }
    }
    Ok(())
}

/// Metrics have names, and a value for every row and name.
fn metrics(loss: &OpenLoss<'_>, random: &mut Random) -> Outcome {
    for split in [Split::Train, Split::Test] {
        let names = loss.metric_names(split)?;
        if names.is_empty() {
            continue;
        }
        let rows = loss.rows(2)?;
        let theta = loss.points(rows, random)?;
        let (first, again) = (loss.metrics(split, &theta, names.len())?, loss.metrics(split, &theta, names.len())?);
        // Not a number is allowed where a metric has no value, but then again and again.
        let changed = (0..first.len()).find(|&i| first[i].is_nan() != again[i].is_nan());
        if let Some(at) = changed {
            let got = format!("{} and then {}", first[at], again[at]);
            return Err(fail(format!("a value of {:?} at every call, or at none", names[at % names.len()]), got)
                .at(at / names.len()));
        }
    }
    Ok(())
}
