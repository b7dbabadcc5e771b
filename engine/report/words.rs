//! What the findings say, in sentences: the headline, the facts beside it, and what may be claimed of them.

use super::checkpoints::Checkpoints;
use super::findings::Findings;
use super::number::{counted, short};
use crate::explore::{Catches, MorseComplex, Rivals, pairs_of};
use crate::persistence::{Bar, DeathKind, Score};
use crate::run::Ended;
use crate::search::{Descent, Evidence, Landscape, Minimum, Origin, PassKind, Path, Stage};
use crate::store::{Heights, Provenance, Space};

/// The result in one sentence.
pub fn headline(findings: &Findings<'_>) -> String {
    let bars = findings.barcode.counted(0).count() as u64;
    let births = bars + findings.barcode.zero;
    let given = Checkpoints::of(findings).filter(|_| findings.minima().iter().all(is_given_or_met));
    let found = match (&given, findings.searched()) {
        (Some(given), true) => given.counted(),
        (_, true) if bars == findings.barcode.degree(0).count() as u64 => counted(births, "minimum", "minima"),
        (_, true) => counted(births, "sampled minimum", "sampled minima"),
        (_, false) => counted(births, "component", "components"),
    };
    // What is below the noise is no climb.
    let beyond = |bar: &&Bar| !(findings.searched() && bar.is_below_noise());
    let highest = findings.barcode.counted(0).filter(beyond).filter_map(|bar| Some((bar, bar.length()?.abs())));
    let highest = highest.fold(None, |best: Option<(&Bar, f64)>, next| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ => Some(next),
    });
    let below = findings.barcode.counted(0).any(|bar| !beyond(&bar));
    match highest {
        Some((bar, height)) if !findings.searched() => {
            format!("{found}; the longest bar, of cell {}, measures {}.", bar.birth_cell, short(height))
        }
        Some((bar, height)) => {
            let which = if births > 2 { ", the most trapped of them," } else { "" };
            let (id, height) = (bar.birth_cell, short(height));
            format!("{found}; to leave minimum {id}{which} descent must climb at most {height}.")
        }
        None if given.as_ref().is_some_and(|given| births == 1 && given.are_in_one()) => {
            format!("{found}; all are one minimum, so there is no pass to climb.")
        }
        None if findings.barcode.zero > 0 || below => {
            format!("{found}; from all but the lowest a way leads down without a climb.")
        }
        None if births == 0 => "Nothing was found.".to_owned(),
        None if births == 1 => format!("{found}; no second one was found, so there is no pass to climb."),
        None => format!("{found}; no pass between any two of them was found."),
    }
}

fn is_given_or_met(minimum: &Minimum) -> bool {
    matches!(minimum.origin, Origin::Given { .. } | Origin::Transit { .. })
}

/// What the length of a bar is called.
pub fn length_name(findings: &Findings<'_>, degree: u32) -> &'static str {
    match (degree, findings.searched(), findings.superlevel) {
        (0, true, false) => "Escape height, death − birth",
        (_, _, false) => "Length, death − birth",
        (_, _, true) => "Length, birth − death",
    }
}

/// What the values are called.
pub fn value_name(findings: &Findings<'_>) -> &'static str {
    if findings.searched() { "Loss" } else { "Value" }
}

/// How to read the bars.
pub fn bars(findings: &Findings<'_>) -> &'static str {
    match (findings.searched(), findings.superlevel) {
        (true, _) => {
            "A bar begins at the loss of a minimum and ends at the pass over which it first joins a lower one. Its \
             length is the height descent must climb to leave."
        }
        (false, false) => {
            "A bar is a class of the sublevel sets, in degree 0 a component: where it is born, where it dies."
        }
        (false, true) => {
            "A bar is a class of the superlevel sets, in degree 0 a component: where it is born, where it dies."
        }
    }
}

/// Why some bars are in `barcode.csv` and the tree only.
pub fn way_stations(count: u64) -> String {
    let bars = counted(count, "minimum met on the way has a bar", "minima met on the way have bars");
    format!("{bars} in barcode.csv, not here: nobody looked for the lowest pass out of them, and no score counts them.")
}

/// Short facts beside the headline.
pub fn facts(findings: &Findings<'_>) -> Vec<String> {
    let bars: Vec<&Bar> = findings.barcode.counted(0).collect();
    let score = findings.score();
    let finite = score.bars;
    let mut facts = Vec::new();
    if finite > 0 {
        let what = if findings.searched() { "mean escape height" } else { "mean length" };
        facts.push(match findings.searched() && score.max == 0.0 {
            true => "TO-score 0: no pass to climb".to_owned(),
            false => format!("TO-score ({what}) {}", short(score.mean)),
        });
        let verified = bars.iter().filter(|bar| bar.death_kind().is_some_and(DeathKind::is_verified)).count();
        if score.zero > 0 {
            facts.push(counted(score.zero, "bar of no length", "bars of no length"));
        }
        if bars.iter().all(|bar| bar.death_kind() != Some(DeathKind::Cell)) {
            facts.push(format!("{verified} of {finite} deaths at verified saddles"));
        }
    }
    if let Some(Rivals { tried, last_lowered_by }) = findings.rivals() {
        let rivals = counted(tried, "rival path tried", "rival paths tried");
        facts.push(match last_lowered_by > 0.0 {
            true => format!("{rivals}, the last to lower a death by {}", short(last_lowered_by)),
            false => rivals,
        });
    }
    if score.doubtful > 0 {
        facts.push(counted(score.doubtful, "doubtful bar", "doubtful bars"));
    }
    let met = findings.minima().iter().filter(|m| m.counts() && !m.is_sampled()).count() as u64;
    if met > 0 {
        facts.push(format!("{} met on the way", counted(met, "more minimum", "more minima")));
    }
    if let Some(Catches { saddles, missed, climbs, by_climbs, .. }) = catches(findings) {
        let missed = match (by_climbs, missed < 0.5) {
            // Caught by paths alone, each once: that says nothing of the others.
            (few, _) if 50 * few < climbs => {
                format!("{few} of them by {climbs} climbs: how many were missed is not known")
            }
            (_, true) => "none missed by estimate".to_owned(),
            _ => format!("about {missed:.0} missed"),
        };
        facts.push(format!("{}, {missed}", counted(saddles as u64, "saddle", "saddles")));
    }
    if findings.searched() {
        facts.push(format!("{} barcode", findings.provenance.space));
    }
    if findings.provenance.parameters > 0 {
        facts.push(counted(findings.provenance.parameters, "parameter", "parameters"));
    }
    let evaluations = findings.evaluations_in_all();
    if evaluations > 0 {
        facts.push(counted(evaluations, "evaluation", "evaluations"));
    }
    if !findings.is_complete() {
        facts.push("the search was stopped early".to_owned());
    }
    facts
}

/// How often saddles were found, where all of them were asked for.
fn catches(findings: &Findings<'_>) -> Option<Catches> {
    findings.run.and_then(|run| Catches::of(run.landscape))
}

/// What was left out of the table of minima; nothing when nothing was.
pub fn omitted(findings: &Findings<'_>) -> Option<String> {
    let count = |keep: &dyn Fn(&Minimum) -> bool| findings.minima().iter().filter(|m| keep(m)).count() as u64;
    let parts = [
        (count(&|m| m.same_as.is_some()), "descent ended in a copy", "descents ended in copies"),
        (count(&|m| m.descent == Descent::Escaped), "escaped", "escaped"),
        (
            count(&|m| m.descent == Descent::NotFinite),
            "started where the loss is not finite",
            "started where the loss is not finite",
        ),
    ];
    let parts: Vec<String> = parts.iter().filter(|p| p.0 > 0).map(|p| counted(p.0, p.1, p.2)).collect();
    (!parts.is_empty()).then(|| format!("Not listed: {}.", parts.join(", ")))
}

/// What may be claimed (docs/mathematics.md#what-may-be-claimed), a paragraph each.
pub fn claims(findings: &Findings<'_>) -> Vec<&'static str> {
    let mut claims = Vec::new();
    if findings.provenance.heights == Heights::UpperBounds {
        claims.push(
            "Every height is an upper bound. A death is the highest loss along a path that was found, and the other \
             paths that were tried were not lower; that none is lower is not proved. Nor is it for a verified saddle: \
             verified means that a saddle with one descending direction was found on the path. What a path hides \
             between its samples is estimated from them, and the error of a death is that estimate: a wall much \
             narrower than they lie apart is missed.",
        );
    }
    let on_kinks = |path: &Path| path.pass.kind == PassKind::VerifiedKinkSaddle;
    if findings.minima().iter().any(|m| m.evidence.edges() > 0) || findings.paths().iter().any(on_kinks) {
        claims.push(
            "The loss is smooth in pieces, and minima and passes lie where some of its kinks (units that switch) are at \
             their edge. A minimum on kinks is one across every edge and along all of them. From a verified kink saddle \
             the loss falls on two sides and rises on all others: along the edges, or across one that bends downwards, \
             where no direction of negative curvature is. Either is certified on the loss itself, in floating point.",
        );
    }
    if findings.provenance.heights == Heights::AsSampled {
        claims.push(
            "The loss was looked at in the samples only. Between two of them a barrier, a pass or a whole minimum may \
             hide, so a death is neither an upper nor a lower bound of the loss's own, and short bars may be the \
             samples' own doing. More samples make all of this smaller; nothing here says by how much.",
        );
    }
    if findings.searched() {
        claims.push(
            "Finitely many minima see part of the barcode. A minimum that was not found can only lower the deaths of \
             these, or add bars of its own; the lowest minimum here is the lowest that was found. Scores compare only \
             at equal numbers of minima, found with the same recipe and budget.",
        );
        claims.push(match findings.provenance.space {
            Space::Aligned => {
                "The barcode is aligned: minima are compared modulo the declared symmetries of the loss, so heights lie \
                 between functions. In the raw barcode each is an upper bound as well, but the symmetric copies of the \
                 best minimum, which die against each other there, do not appear."
            }
            Space::Raw => {
                "The barcode is raw: heights lie between these very parameters. A minimum may lie near a symmetric copy \
                 of a better one, to which a lower pass leads."
            }
        });
    }
    if catches(findings).is_some() {
        claims.push(
            "All saddles were asked for. How many were missed is estimated from how many were found once and how many \
             twice; that is a lower bound where some are harder to find than others. Only a minimum that was reached \
             is climbed from, along the modes that the rule allows.",
        );
    }
    if findings.searched() && findings.barcode.bars.iter().any(|bar| bar.degree > 0) {
        claims.push(
            "Bars of degree 1 and above are those of the Morse complex of the critical points found, with boundaries \
             read off lines of the gradient flow. They are complete only if every critical point was found: one that \
             was missed would begin a bar, end one, or end it lower.",
        );
    }
    if findings.score().doubtful > 0 {
        claims.push(
            "Bars below the noise of the loss, and bars whose birth is no converged minimum, are marked and counted \
             apart; the score is given with and without them.",
        );
    }
    claims
}

/// What a reader should know besides, a sentence or two each.
pub fn remarks(findings: &Findings<'_>) -> Vec<String> {
    let minima = &findings.provenance.minima;
    let got = (!minima.is_empty()).then(|| format!("Minima were got by {minima}."));
    let opened = findings.provenance.opened.iter().map(|note| format!("The backend says: {note}."));
    let left_out = Checkpoints::of(findings).and_then(|given| given.left_out());
    let more = [got, slopes(findings), flat(findings), merged(findings.provenance), left_out];
    let more = more.into_iter().flatten().chain(opened);
    match unfinished(findings) {
        // What is said of the whole is untrue of a part.
        Some(unfinished) => std::iter::once(unfinished).chain(more).collect(),
        None => findings.notes.iter().cloned().chain(more).collect(),
    }
}

/// That a run has not come to its end, where it has not.
fn unfinished(findings: &Findings<'_>) -> Option<String> {
    let of_samples = findings.provenance.is_of_samples();
    let before = match of_samples {
        true => "every sample had its value",
        false if pairs_lack(findings) => "every pair of checkpoints was measured",
        false => "every deciding path was settled",
    };
    match findings.run?.ended {
        Some(Ended::Complete) => None,
        Some(Ended::Budget) => Some(format!("A budget was spent before {before}.")),
        Some(Ended::Cancelled) | None => Some(format!("The run was stopped before {before}.")),
    }
}

/// Whether the stage of pairs was begun and not ended.
fn pairs_lack(findings: &Findings<'_>) -> bool {
    let is_begun = findings.evaluations().iter().any(|(stage, _)| *stage == Stage::Pairs);
    is_begun && Checkpoints::of(findings).is_some_and(|given| given.pairs.len() < pairs_of(given.rows.len()))
}

/// That bars have no length because their points are not at minima, and what to do about it.
fn slopes(findings: &Findings<'_>) -> Option<String> {
    let is_slope = |m: &&Minimum| m.counts() && m.is_sampled() && m.descent == Descent::Unconverged;
    let norms: Vec<f64> = findings.minima().iter().filter(is_slope).map(|m| m.evidence.gradient_norm).collect();
    let below = findings.barcode.counted(0).filter(|bar| bar.is_below_noise() && bar.is_unconverged()).count() as u64;
    let (none, points) = (findings.barcode.zero + below, norms.len() as u64);
    if !findings.searched() || none == 0 || points == 0 {
        return None;
    }
    let (least, most) = norms.iter().fold((f64::INFINITY, 0.0), |(a, b): (f64, f64), x| (a.min(*x), b.max(*x)));
    let range = if least == most { short(most) } else { format!("{} to {}", short(least), short(most)) };
    let (bars, points) = (counted(none, "bar has", "bars have"), counted(points, "point lies", "points lie"));
    Some(format!(
        "{bars} no length, because {points} on slopes and not at minima (gradient norms {range}): from there a path \
         leads down at once, and there is nothing to climb. Set [minima] polish = true: it descends from each point to \
         the minimum below and keeps both losses. Or train until gradient norms are far smaller."
    ))
}

/// That directions without curvature are common to all that was found, and what was made of it.
fn flat(findings: &Findings<'_>) -> Option<String> {
    let minima = findings.minima().iter().filter(|m| m.counts() && m.descent == Descent::Converged);
    let passes = findings.paths().iter().filter(|path| path.is_listed()).filter_map(|path| path.pass.evidence.as_ref());
    let looked_at = minima.map(|m| &m.evidence).chain(passes).filter(|evidence| !evidence.eigenvalues.is_empty());
    let common = looked_at.map(Evidence::undecided).min().unwrap_or(0) as u64;
    (common > 0).then(|| {
        format!(
            "{} no curvature at every minimum and every verified saddle: taken for a continuous symmetry that the loss \
             does not declare, and left out of every index. Minima that a motion along it joins are one.",
            counted(common, "direction has", "directions have")
        )
    })
}

/// The cells of the Morse complex and whether they can be all, where all saddles were asked for. `domain` are the Betti
/// numbers of the space, where they are known.
pub fn cells(landscape: &Landscape, domain: Option<&[usize]>) -> Option<String> {
    Catches::of(landscape)?;
    let complex = MorseComplex::of(landscape);
    let list = |numbers: &[usize]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let counts = complex.counts();
    let told = (0..counts.len()).take_while(|degree| complex.is_told(*degree)).count();
    let (cells, betti) = (list(&counts), list(&complex.betti()[..told]));
    let found = format!("Cells of index 0 to {}: {cells}; Betti numbers of these cells: {betti}.", counts.len() - 1);
    let undecided = complex.undecided().count() as u64;
    let open = match (undecided, complex.torn.len()) {
        (0, _) => String::new(),
        (n, 0) => format!(" The boundary of {} is not known.", counted(n, "cell", "cells")),
        (n, torn) => {
            let cells = counted(n, "cell", "cells");
            format!(
                " The boundary of {cells} is not known, for {torn} of them because what was found has a boundary itself."
            )
        }
    };
    let judged = match domain {
        None => " Those of the space modulo its symmetries are not known to compare with.".to_owned(),
        Some(domain) => match complex.lacks(domain) {
            None if complex.looked_for == complex.dimensions => {
                format!(" The Morse inequalities hold, Euler's equation too: the space has {}.", list(domain))
            }
            None => format!(" The Morse inequalities hold so far: the space has {}.", list(domain)),
            Some(index) => format!(
                " These cannot be all: the space has {}, and the Morse inequality of index {index} fails. Cells were missed, \
                 or the loss falls out of its domain.",
                list(domain)
            ),
        },
    };
    Some(found + &open + &judged)
}

/// Which runs a landscape was merged from, where it was.
fn merged(provenance: &Provenance) -> Option<String> {
    let seed = |seed: Option<u64>| seed.map_or("none".to_owned(), |seed| seed.to_string());
    let seeds = std::iter::once(provenance.seed).chain(provenance.merged.iter().map(|source| source.seed));
    let seeds: Vec<String> = seeds.map(seed).collect();
    let (count, seeds) = (seeds.len(), seeds.join(", "));
    (count > 1).then(|| format!("Merged from {count} runs (first seeds {seeds}), with the configuration of the first."))
}

/// What the table of pairs tells, a paragraph each.
pub fn pairs(given: &Checkpoints<'_>) -> Vec<&'static str> {
    let mut told = vec![
        "L(t) is the loss at a fraction t of the length of a curve. The barrier is the largest L(t) − ((1 − t) L(0) + \
         t L(1)), as papers on mode connectivity and on merging networks define it; the climb is how far the curve \
         rises above its higher end, as in the barcode. The straight line joins the parameters as they are; after \
         alignment it leads to the copy of the second checkpoint, under the declared symmetries, that was found nearest \
         to the first. The best path is the lowest that was found, over other minima where that is lower: an upper bound.",
        "Values are told at the first end, where the barrier is, and at the other end; summary.json has them along every \
         curve.",
    ];
    if given.are_polished() {
        told.push("Lines lie between the checkpoints as they were given, best paths between the minima they lead to.");
    }
    told
}

/// That nothing is to be climbed, where a score would be 0.
pub fn no_pass(findings: &Findings<'_>, score: &Score) -> Option<&'static str> {
    (findings.searched() && score.bars > 0 && score.max == 0.0)
        .then_some("0: no bar is longer than the noise of the loss, so there is no pass to climb.")
}

/// The rows of the table of scores: name, definition, value.
pub fn scores(score: &Score) -> [(&'static str, &'static str, f64); 6] {
    [
        ("mean", "mean length ℓ of the finite bars, those of no length included", score.mean),
        ("total", "Σ ℓ", score.total),
        ("max", "max ℓ", score.max),
        ("bottleneck", "max ℓ / 2: distance to the ideal barcode", score.bottleneck),
        ("wasserstein_1", "Σ ℓ / 2: the same with q = 1", score.wasserstein_1),
        ("wasserstein_2", "√Σ (ℓ / 2)²: the same with q = 2", score.wasserstein_2),
    ]
}
