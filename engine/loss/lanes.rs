//! Searches side by side: each runs as if it were alone, and what they want of the loss at the same time is one batch.
//!
//! A search is a straight line of code that asks its oracle for a few rows at a time. Here every search has a thread and
//! an oracle of its own, which hands what it is asked to the caller's thread; that one alone calls the loss, once all
//! searches still under way want something. No two threads ever run at the same time: the others are where each search
//! waits, no more. Rows of a batch do not see each other, so every search gets the numbers that it would have got alone,
//! whatever runs beside it.

#![forbid(unsafe_code)]

use super::loss::{Batch, Bounds, Identity, Info, Kink, Linear, Loss, Parameter, Slope, Split, Symmetry};
use super::oracle::{Oracle, View};
use crate::error::{Error, Result};
use crate::run::Budget;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Runs searches side by side; what each came to, in their order. All of them stop at the first error of the oracle, its
/// budget's end among them.
pub fn side_by_side<T: Send>(
    oracle: &mut Oracle<'_>,
    searches: Vec<impl FnOnce(&mut Oracle<'_>) -> Result<T> + Send>,
) -> Result<Vec<T>> {
    if searches.len() < 2 {
        return searches.into_iter().map(|search| search(oracle)).collect();
    }
    let (info, cancel) = (oracle.info().clone(), oracle.cancel().clone());
    let (noise, length) = (oracle.noise(), oracle.length());
    thread::scope(|scope| {
        let (mut threads, mut lanes) = (Vec::new(), Vec::new());
        for search in searches {
            let (wishes, wished) = channel();
            let (mut lane, cancel) = (Lane { info: info.clone(), wishes }, cancel.clone());
            let body = move || {
                let mut oracle = Oracle::of_values(&mut lane, None, &cancel, Budget::default());
                oracle.set_noise(noise);
                oracle.set_length(length);
                search(&mut oracle)
            };
            let thread = thread::Builder::new().name("mpass-lane".into()).spawn_scoped(scope, body);
            threads.push(thread.map_err(|error| Error::Internal(format!("no thread for a search: {error}")))?);
            // The first wish is waited for, so that no two run at the same time.
            lanes.push(Waiting { wish: wished.recv().ok(), wished });
        }
        serve(oracle, lanes)?;
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// A search that waits for an answer; without a wish it has ended.
struct Waiting {
    wish: Option<Wish>,
    wished: Receiver<Wish>,
}

/// What is asked of the caller's oracle or of its loss; whoever asks has left word where the answer goes.
type Question = Box<dyn FnOnce(&mut Oracle<'_>) + Send>;

/// What a search wants of the loss.
enum Wish {
    /// Something that is no batch.
    Alone(Question),
    Rows(Rows),
}

/// Rows to be evaluated, and who is told.
struct Rows {
    kind: Kind,
    view: View,
    theta: Vec<f64>,
    directions: Vec<f64>,
    answer: Sender<Numbers>,
}

/// What is wanted of rows: those of one kind and one view are joined.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Values,
    Gradients,
    Products,
}

/// Losses, NaN where a row is not finite, and the derivative that was wanted.
struct Numbers {
    loss: Vec<f64>,
    derivative: Vec<f64>,
}

impl Wish {
    fn kind(&self) -> Option<Kind> {
        match self {
            Wish::Alone(_) => None,
            Wish::Rows(rows) => Some(rows.kind),
        }
    }

    fn view(&self) -> Option<&View> {
        match self {
            Wish::Alone(_) => None,
            Wish::Rows(rows) => Some(&rows.view),
        }
    }
}

/// Answers until all have ended.
///
/// One kind of wish at a time, in the order of [`Kind`]: who wants Hessian products waits until all do. Searches for
/// saddles ask for hundreds of them, one at a time, so that is how they come to be joined.
fn serve(oracle: &mut Oracle<'_>, mut lanes: Vec<Waiting>) -> Result<()> {
    while let Some(next) = lanes.iter().flat_map(|lane| &lane.wish).min_by_key(|wish| wish.kind()) {
        let (kind, view) = (next.kind(), next.view().cloned());
        let (mut asked, mut rows) = (Vec::new(), Vec::new());
        for lane in lanes.iter_mut() {
            match lane.wish.take_if(|wish| wish.kind() == kind && wish.view() == view.as_ref()) {
                Some(Wish::Alone(question)) => question(oracle),
                Some(Wish::Rows(wanted)) => rows.push(wanted),
                None => continue,
            }
            asked.push(lane);
        }
        let answers = joined(oracle, &rows)?;
        let told = rows.into_iter().zip(answers);
        // Whoever has ended meanwhile wants to know nothing.
        let mut told = told.map(|(rows, numbers)| _ = rows.answer.send(numbers));
        for lane in asked {
            told.next();
            lane.wish = lane.wished.recv().ok();
        }
    }
    Ok(())
}

/// The numbers for rows of one kind, from one batch.
fn joined(oracle: &mut Oracle<'_>, rows: &[Rows]) -> Result<Vec<Numbers>> {
    let Some(Rows { kind, view, .. }) = rows.first() else { return Ok(Vec::new()) };
    let all = |of: fn(&Rows) -> &Vec<f64>| rows.iter().flat_map(of).copied().collect::<Vec<f64>>();
    let theta = all(|rows| &rows.theta);
    let (loss, derivative) = oracle.seen(view.clone(), |oracle| match kind {
        Kind::Values => Ok((oracle.values(&theta)?, Vec::new())),
        Kind::Gradients => oracle.gradients(&theta),
        Kind::Products => oracle.products_at(&theta, &all(|rows| &rows.directions)),
    })?;
    let (p, mut first) = (oracle.params(), 0);
    let part = |rows: &Rows| {
        let some = first..first + rows.theta.len() / p;
        first = some.end;
        let cells = if *kind == Kind::Values { 0..0 } else { some.start * p..some.end * p };
        Numbers { loss: loss[some].to_vec(), derivative: derivative[cells].to_vec() }
    };
    Ok(rows.iter().map(part).collect())
}

/// The loss as one of several searches sees it.
struct Lane {
    info: Info,
    wishes: Sender<Wish>,
}

impl Lane {
    /// Hands over what is wanted and waits for the answer. None comes once the caller has stopped.
    fn wish<T>(&self, wish: impl FnOnce(Sender<T>) -> Wish) -> Result<T> {
        let (answer, answered) = channel();
        self.wishes.send(wish(answer)).map_err(|_| Error::Cancelled)?;
        answered.recv().map_err(|_| Error::Cancelled)
    }

    fn ask<T: Send + 'static>(&self, question: impl FnOnce(&mut dyn Loss) -> Result<T> + Send + 'static) -> Result<T> {
        self.ask_oracle(move |oracle| question(oracle.loss()))
    }

    fn ask_oracle<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Oracle<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.wish(|answer| Wish::Alone(Box::new(move |oracle| _ = answer.send(question(oracle)))))?
    }

    /// Rows of one view of the loss, joined with those that others want of it.
    fn rows(&self, view: View, batch: Batch<'_>) -> Result<()> {
        let (kind, directions, out) = match (batch.grad, batch.hvp) {
            (None, None) => (Kind::Values, Vec::new(), None),
            (Some(grad), None) => (Kind::Gradients, Vec::new(), Some(grad)),
            (None, Some((directions, out))) => (Kind::Products, directions.to_vec(), Some(out)),
            (Some(_), Some(_)) => return Err(Error::Internal("gradients and products of one batch".into())),
        };
        if batch.ids.is_some() {
            return Err(Error::Internal("a minibatch beside other searches".into()));
        }
        let theta = batch.theta.to_vec();
        let numbers = self.wish(|answer| Wish::Rows(Rows { kind, view, theta, directions, answer }))?;
        batch.loss.copy_from_slice(&numbers.loss);
        batch.ok.iter_mut().zip(&numbers.loss).for_each(|(ok, loss)| *ok = !loss.is_nan());
        out.into_iter().for_each(|out| out.copy_from_slice(&numbers.derivative));
        Ok(())
    }
}

impl Loss for Lane {
    fn info(&self) -> &Info {
        &self.info
    }

    fn eval(&mut self, batch: Batch<'_>) -> Result<()> {
        self.rows(View::Itself, batch)
    }

    fn kinks(&self) -> Result<u64> {
        self.ask(|loss| loss.kinks())
    }

    fn eval_smoothed(&mut self, eps: f64, batch: Batch<'_>) -> Result<()> {
        self.rows(View::Smoothed(eps), batch)
    }

    fn kinks_near(&mut self, theta: &[f64], width: f64) -> Result<Vec<Kink>> {
        let theta = theta.to_vec();
        self.ask_oracle(move |oracle| oracle.kinks_near(&theta, width))
    }

    /// z and delta are told of single gradients alone: nobody asks for others.
    fn eval_linear(&mut self, slopes: &[Slope], batch: Batch<'_>, out: Linear<'_>) -> Result<()> {
        if batch.loss.len() != 1 || batch.hvp.is_some() {
            return self.rows(View::Linear(slopes.to_vec()), batch);
        }
        let (theta, slopes) = (batch.theta.to_vec(), slopes.to_vec());
        let at = self.ask_oracle(move |oracle| oracle.linear(&theta, &slopes))?;
        (batch.loss[0], batch.ok[0]) = (at.loss, !at.loss.is_nan());
        batch.grad.into_iter().for_each(|grad| grad.copy_from_slice(&at.grad));
        out.z.copy_from_slice(&at.z);
        out.delta.copy_from_slice(&at.delta);
        Ok(())
    }

    fn kink_rows(&mut self, theta: &[f64], slopes: &[Slope], out: &mut [f64]) -> Result<()> {
        let (theta, slopes) = (theta.to_vec(), slopes.to_vec());
        out.copy_from_slice(&self.ask_oracle(move |oracle| oracle.kink_rows(&theta, &slopes))?);
        Ok(())
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        self.ask(|loss| loss.parameters())
    }

    fn start(&self, seed: u64) -> Result<Option<Vec<f64>>> {
        self.ask(move |loss| loss.start(seed))
    }

    fn bounds(&self) -> Result<Option<Bounds>> {
        self.ask(|loss| loss.bounds())
    }

    fn metric_names(&self, split: Split) -> Result<Vec<String>> {
        self.ask(move |loss| loss.metric_names(split))
    }

    fn metrics(&mut self, split: Split, theta: &[f64]) -> Result<Vec<f64>> {
        let theta = theta.to_vec();
        self.ask(move |loss| loss.metrics(split, &theta))
    }

    fn symmetries(&self) -> Result<Vec<Symmetry>> {
        self.ask(|loss| loss.symmetries())
    }

    fn identity(&self) -> Result<Identity> {
        self.ask(|loss| loss.identity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::closed_form::ClosedForm;
    use crate::run::Cancel;
    use std::thread::{ThreadId, current};

    /// f = x^4 / 4 + y^2, not finite left of -9, that notes what it is asked, and where.
    struct Noted {
        info: Info,
        calls: Vec<(&'static str, usize)>,
        at: Vec<ThreadId>,
    }

    impl Loss for Noted {
        fn info(&self) -> &Info {
            &self.info
        }

        fn eval(&mut self, batch: Batch<'_>) -> Result<()> {
            let what = if batch.hvp.is_some() { "products" } else { "rows" };
            self.calls.push((what, batch.loss.len()));
            self.at.push(current().id());
            let (mut grad, mut hvp) = (batch.grad, batch.hvp);
            for (i, x) in batch.theta.chunks_exact(2).enumerate() {
                batch.ok[i] = x[0] > -9.0;
                batch.loss[i] = x[0].powi(4) / 4.0 + x[1] * x[1];
                let cells = 2 * i..2 * i + 2;
                if let Some(grad) = &mut grad {
                    grad[cells.clone()].copy_from_slice(&[x[0].powi(3), 2.0 * x[1]]);
                }
                if let Some((v, out)) = &mut hvp {
                    out[cells].copy_from_slice(&[3.0 * x[0] * x[0] * v[2 * i], 2.0 * v[2 * i + 1]]);
                }
            }
            Ok(())
        }

        fn metrics(&mut self, _: Split, theta: &[f64]) -> Result<Vec<f64>> {
            self.calls.push(("metrics", theta.len() / 2));
            self.at.push(current().id());
            Ok(vec![theta[0]])
        }
    }

    fn noted() -> Noted {
        let mut info = ClosedForm::new(2, None, |_, _| 0.0).info;
        info.caps.hvp = true;
        Noted { info, calls: Vec::new(), at: Vec::new() }
    }

    fn oracle(loss: &mut Noted, most: Option<u64>) -> Oracle<'_> {
        Oracle::new(loss, None, &Cancel::default(), Budget { evaluations: most, ..Budget::default() }).unwrap()
    }

    /// A search of so many steps, each of which depends on the numbers of the one before.
    fn search(steps: usize) -> impl FnOnce(&mut Oracle<'_>) -> Result<Vec<u64>> + Send {
        move |oracle| {
            let (mut x, mut seen) = (vec![steps as f64, 1.0], oracle.loss().metrics(Split::Train, &[0.5, 0.5])?);
            for step in 0..steps {
                let (loss, grad) = oracle.gradients(&[&x[..], &[0.5, x[1]]].concat())?;
                let product = oracle.hessian_products(&x, &grad)?;
                seen.extend(loss.iter().chain(&product));
                seen.extend(oracle.values(&[-10.0, step as f64])?);
                x.iter_mut().zip(&product).for_each(|(x, product)| *x -= 1e-3 * product);
            }
            Ok(seen.into_iter().map(f64::to_bits).collect())
        }
    }

    #[test]
    fn searches_side_by_side_see_what_they_would_alone_in_fewer_calls_from_one_thread() {
        let (mut loss, mut one) = (noted(), noted());
        let steps = [3, 7, 1, 4];
        let mut together = oracle(&mut loss, None);
        let found = side_by_side(&mut together, steps.map(search).into()).unwrap();
        let spent = together.take_tally();
        let mut alone = oracle(&mut one, None);
        assert_eq!(found, steps.map(|steps| search(steps)(&mut alone).unwrap()));
        assert_eq!(spent, alone.take_tally());
        let calls = |loss: &Noted| loss.calls.iter().filter(|(what, _)| *what != "metrics").count();
        assert_eq!((calls(&one), calls(&loss)), (3 * 15, 3 * 7));
        assert!(loss.at.iter().all(|at| *at == current().id()));
    }

    #[test]
    fn who_wants_products_waits_until_all_do() {
        type Search = fn(&mut Oracle<'_>) -> Result<()>;
        let products: Search =
            |oracle| (0..3).try_for_each(|_| oracle.hessian_products(&[0.0; 2], &[1.0; 2]).map(drop));
        let rows: Search = |oracle| (0..3).try_for_each(|_| oracle.gradients(&[0.0; 2]).map(drop));
        let both: Search = |oracle| {
            oracle.values(&[0.0; 4])?;
            oracle.hessian_products(&[0.0; 2], &[1.0; 2]).map(drop)
        };
        let mut loss = noted();
        side_by_side(&mut oracle(&mut loss, None), vec![products, rows, both]).unwrap();
        let expected =
            [("rows", 2), ("rows", 1), ("rows", 1), ("rows", 1), ("products", 2), ("products", 1), ("products", 1)];
        assert_eq!(loss.calls, expected);
    }

    #[test]
    fn a_spent_budget_ends_all_of_them() {
        let mut loss = noted();
        let mut oracle = oracle(&mut loss, Some(20));
        let ended = side_by_side(&mut oracle, [3, 7, 4].map(search).into());
        assert!(matches!(ended, Err(Error::Budget("evaluations"))), "{ended:?}");
        // The call that passed the budget was the last.
        assert!((20..30).contains(&oracle.take_tally().total()));
    }

    #[test]
    fn a_fired_token_ends_all_of_them() {
        let (mut loss, cancel) = (noted(), Cancel::default());
        let mut oracle = Oracle::new(&mut loss, None, &cancel, Budget::default()).unwrap();
        let searches = [1, 2].map(|wait| {
            let cancel = cancel.clone();
            move |oracle: &mut Oracle<'_>| {
                for step in 0.. {
                    oracle.values(&[0.0; 2])?;
                    if step == wait {
                        cancel.fire();
                    }
                }
                Ok(())
            }
        });
        assert!(matches!(side_by_side(&mut oracle, searches.into()), Err(Error::Cancelled)));
    }

    #[test]
    fn the_first_error_of_a_search_is_that_of_all() {
        let mut loss = noted();
        let searches = [0, 1, 2].map(|nth| {
            move |oracle: &mut Oracle<'_>| {
                oracle.values(&[0.0; 2])?;
                if nth == 0 { Ok(()) } else { Err(Error::Numeric(format!("search {nth}"))) }
            }
        });
        let ended = side_by_side(&mut oracle(&mut loss, None), searches.into());
        assert_eq!(ended.unwrap_err().to_string(), "search 1");
    }

    #[test]
    #[should_panic(expected = "a search's own bug")]
    fn a_panic_in_a_search_is_the_callers() {
        let mut loss = noted();
        let searches = [false, true].map(|bad| {
            move |oracle: &mut Oracle<'_>| {
                oracle.values(&[0.0; 2])?;
                assert!(!bad, "a search's own bug");
                oracle.values(&[0.0; 2])
            }
        });
        drop(side_by_side(&mut oracle(&mut loss, None), searches.into()));
    }
}
