//! Group `cancel`: a call that is asked to stop does, and nothing is the worse for it.
//!
//! What is held against a plugin is what it answers. How soon it does is worth a warning.

use crate::check::plugin::{EvalAnswer, OpenLoss, Polls};
use crate::check::test::{Outcome, Random, Subject, Test, fail, skip, warn};
use crate::run::Cancel;
use mountainpass_sdk::abi::{cap, status};
use std::time::Duration;

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "cancel.polls",
        "Where MPASS_CAP_CANCEL is claimed, a long eval polls, and a fired token ends it with MPASS_E_CANCELLED.",
        "eval polls host->cancelled at least every 100 ms",
        &["value.answers"],
        polls,
    ),
    Test::new(
        "cancel.after",
        "A cancelled loss works on as before.",
        "for host->cancelled; NULL = none",
        &["value.answers", "minibatch.state"],
        after,
    ),
];

/// Calls that take longer must poll; three times what the header allows between two polls.
const LONG: Duration = Duration::from_millis(300);
/// Longer than this between two polls is worth a warning, and as long an end: twice what the header allows, since
/// machines are busy with other things, too.
const LATE: Duration = Duration::from_millis(200);
/// The most bytes of all arguments of a call.
const LARGEST: usize = 96 << 20;

/// A call that takes its time.
struct Long {
    theta: Vec<f64>,
    took: Duration,
    polls: Polls,
}

/// Grows a batch until a call is long, twice in a row. `None` if the largest batch is too quick.
fn grow(loss: &OpenLoss<'_>, random: &mut Random) -> Outcome<Option<Long>> {
    let p = loss.p()?;
    let points = loss.good_points(4, random)?;
    let most = loss.rows_within(LARGEST / 4)?;
    let mut n = 1;
    loop {
        let theta: Vec<f64> = points.iter().cycle().take(n * p).copied().collect();
        let token = Cancel::default();
        let run = || -> Outcome<(Duration, Polls)> {
            loss.host().forget_polls();
            let took = loss.eval(&loss.everything(&theta, &theta)?.cancel(&token))?.accepted()?.took;
            Ok((took, loss.host().polls()))
        };
        let (took, _) = run()?;
        if took > LONG {
            // A moment in which the machine did something else is no long call.
            let (took, polls) = run()?;
            if took > LONG {
                return Ok(Some(Long { theta, took, polls }));
            }
        }
        if n >= most {
            return Ok(None);
        }
        let factor = match took.as_millis() {
            0 => 8,
            1..20 => 4,
            _ => 2,
        };
        n = (n * factor).min(most);
    }
}

/// Evaluates with a token that is fired already.
fn fired(loss: &OpenLoss<'_>, theta: &[f64]) -> Outcome<EvalAnswer> {
    let token = Cancel::default();
    token.fire();
    loss.eval(&loss.everything(theta, theta)?.cancel(&token))
}

/// Fails for what a cancelled call may not answer.
fn cancelled_or_done(answer: &EvalAnswer) -> Outcome {
    match answer.status {
        status::OK | status::CANCELLED => Ok(()),
        code => Err(fail("status 8, cancelled", format!("status {code}: {}", answer.text.shown()))),
    }
}

fn polls(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::CANCEL, "MPASS_CAP_CANCEL")?;
    let Some(long) = grow(&loss, random)? else { return Err(skip("it is too quick to cancel")) };
    let millis = |time: Duration| time.as_millis();
    let fresh = subject.open()?;
    let answer = fired(&fresh, &long.theta)?;
    cancelled_or_done(&answer)?;
    if answer.status == status::OK {
        let expected = format!("status 8, cancelled, of a call of {} ms whose token is fired", millis(long.took));
        let got =
            format!("status 0 after {} ms; a call with a token polls {} times", millis(answer.took), long.polls.count);
        return Err(fail(expected, got));
    }
    let (token, wait) = (Cancel::default(), long.took / 3);
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(wait);
            token.fire();
        });
        loss.eval(&loss.everything(&long.theta, &long.theta)?.cancel(&token))
    })?;
    cancelled_or_done(&answer)?;
    if long.polls.longest > LATE {
        return Err(warn(format!(
            "{} ms passed between two polls in a call of {} ms; 100 are allowed",
            millis(long.polls.longest),
            millis(long.took)
        )));
    }
    if answer.took > wait + LATE {
        let late = millis(answer.took - wait);
        return Err(warn(format!("it returned {late} ms after it was cancelled, with status {}", answer.status)));
    }
    Ok(())
}

fn after(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    loss.requires(cap::CANCEL, "MPASS_CAP_CANCEL")?;
    let (p, n) = (loss.p()?, loss.rows(3)?);
    let (theta, dir) = (loss.good_points(n, random)?, random.normals(n * p));
    let alike = loss.alike(&theta[..p])?;
    let before = loss.eval(&loss.everything(&theta, &dir)?)?.numbers()?;
    let mut answer = fired(&loss, &theta)?;
    if answer.status == status::OK {
        let Some(long) = grow(&loss, random)? else { return Err(skip("it is too quick to cancel")) };
        answer = fired(&loss, &long.theta)?;
    }
    if answer.status != status::CANCELLED {
        return Err(skip(format!("a call with a fired token ends with status {}", answer.status)));
    }
    for _ in 0..3 {
        let answer = loss.eval(&loss.everything(&theta, &dir)?)?;
        if answer.status != status::OK {
            let got = format!("status {}: {}", answer.status, answer.text.shown());
            return Err(fail("status 0 of a call after a cancelled one", got));
        }
        (0..n).try_for_each(|row| alike.hold(before.row(row), answer.row(row), "after a cancelled call"))?;
    }
    Ok(())
}
