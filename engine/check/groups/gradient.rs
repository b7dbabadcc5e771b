//! Group `gradient`: the gradient is that of the loss.

use crate::check::judge::taylor::{self, Found, TestedFunction};
use crate::check::plugin::{Call, Evaluated};
use crate::check::test::{Outcome, Random, Subject, Test, fail, skip, warn};
use mountainpass_sdk::abi::cap;
use std::time::Duration;

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "gradient.taylor",
        "The gradient of a loss with MPASS_CAP_SMOOTH is that of the loss: Taylor remainders fall as the square of the \
         step.",
        "A backend supplies a loss and its derivatives.",
        &["value.answers", "value.neighbours"],
        |subject, random| derivative(subject, random, true),
    ),
    Test::new(
        "gradient.one-sided",
        "The gradient of a loss without MPASS_CAP_SMOOTH is that of the loss wherever differences from both sides agree.",
        "A backend supplies a loss and its derivatives.",
        &["value.answers", "value.neighbours"],
        |subject, random| derivative(subject, random, false),
    ),
    Test::new(
        "gradient.batch",
        "The gradient of a row does not depend on how many rows come with it.",
        "out n x p, dtype and memory of theta; NULL data = not wanted",
        &["value.answers"],
        batch,
    ),
];

/// How long one base point may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The loss over some samples, or what stands for it, as a function of theta.
pub(super) struct Losses<'a> {
    pub loss: &'a dyn Evaluated,
    pub ids: Option<&'a [u64]>,
    pub epsilon: f64,
    pub noise: f64,
}

impl TestedFunction for Losses<'_> {
    fn values(&self, theta: &[f64]) -> Outcome<Vec<f64>> {
        let mut all = Vec::new();
        let open = self.loss.open();
        for rows in theta.chunks(open.rows_of_a_call()? * open.p()?) {
            let answer = self.loss.evaluate(&Call { ids: self.ids, ..Call::of(rows) })?.accepted()?;
            all.extend((0..answer.n()).map(|row| if answer.good(row) { answer.loss[row] } else { f64::NAN }));
        }
        Ok(all)
    }

    fn epsilon(&self) -> f64 {
        self.epsilon
    }

    fn noise(&self) -> f64 {
        self.noise
    }
}

/// A base point with numbers for loss and gradient, and the gradient.
pub(super) fn base(
    loss: &dyn Evaluated,
    away: bool,
    ids: Option<&[u64]>,
    random: &mut Random,
) -> Outcome<(Vec<f64>, Vec<f64>)> {
    for _ in 0..10 {
        let theta = loss.open().base_point(away, random)?;
        let answer = loss.evaluate(&Call { ids, ..Call::of(&theta).grad() })?.accepted()?;
        if answer.good(0) {
            return Ok((theta, answer.grad));
        }
    }
    Err(skip("there are no numbers at ten points in a row"))
}

fn derivative(subject: &Subject, random: &mut Random, smooth: bool) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::GRAD, "MPASS_CAP_GRAD")?;
    match (smooth, loss.has(cap::SMOOTH)?) {
        (true, false) => return Err(skip("MPASS_CAP_SMOOTH is not claimed; gradient.one-sided applies")),
        (false, true) => return Err(skip("MPASS_CAP_SMOOTH is claimed; gradient.taylor applies")),
        _ => {}
    }
    // One sample, so that what minibatches are means of is their own tests' affair.
    let one = Some(loss.samples()?).filter(|&samples| samples > 0).map(|samples| [random.below(samples)]);
    let mut places = vec![(false, None), (true, None)];
    places.extend(one.as_ref().map(|ids| (true, Some(&ids[..]))));
    let mut sum = Found::default();
    for (away, ids) in places {
        let (theta, gradient) = base(&loss, away, ids, random)?;
        let function = Losses { loss: &loss, ids, epsilon: loss.epsilon()?, noise: loss.info()?.noise };
        let found = taylor::test(&function, (&theta, &gradient), smooth, PATIENCE, random)?;
        if let Some(wrong) = found.wrong {
            let (expected, got) = wrong.words();
            let over = ids.map_or(String::new(), |ids| format!(", over sample {}", ids[0]));
            return Err(fail(expected, format!("{got}{over}")).at(0));
        }
        sum.judged += found.judged;
        sum.kinks += found.kinks;
        sum.decided += found.decided;
    }
    let Found { judged, kinks, decided, .. } = sum;
    if kinks > 0 {
        return Err(warn(format!(
            "kinks: along {kinks} of {judged} directions the loss has another slope on each side"
        )));
    }
    if decided == 0 {
        let text = "rounding and curvature hide the gradient: none of";
        return Err(warn(format!("{text} {judged} directions could tell it from its opposite")));
    }
    Ok(())
}

fn batch(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::GRAD, "MPASS_CAP_GRAD")?;
    if loss.rows(2)? < 2 {
        return Err(skip("a call has one row"));
    }
    let (p, sizes) = (loss.p()?, [2, 5, 33].map(|n| loss.rows(n)));
    let theta = loss.points(5, random)?;
    let alike = loss.alike(&theta[..p])?;
    let alone = theta.chunks_exact(p).map(|row| loss.eval(&Call::of(row).grad())?.accepted());
    let alone = alone.collect::<Outcome<Vec<_>>>()?;
    for n in sizes {
        let n = n?;
        let chosen: Vec<usize> = (0..n).map(|row| row % alone.len()).collect();
        let rows: Vec<f64> = chosen.iter().flat_map(|&i| &theta[i * p..(i + 1) * p]).copied().collect();
        let together = loss.eval(&Call::of(&rows).grad())?.accepted()?;
        for (row, &i) in chosen.iter().enumerate().filter(|(_, i)| alone[**i].good(0)) {
            let (a, b) = (alone[i].grad(0), together.grad(row));
            if let Some(at) = alike.differ(a, b, 0.0) {
                let expected = format!("gradient[{at}] = {:?}, as in a call of this row alone", a[at]);
                return Err(fail(expected, format!("{:?} in a batch of {n}", b[at])).at(row));
            }
        }
    }
    Ok(())
}
