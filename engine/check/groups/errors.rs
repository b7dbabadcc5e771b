//! Group `errors`: how calls are refused, and what is left of a loss that has refused one.

use crate::check::plugin::{Call, EvalAnswer, OpenLoss, Refusal};
use crate::check::test::{Outcome, Random, Subject, Test, fail};
use mountainpass_sdk::abi::{View, cap, dtype, memory, status};

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "errors.texts",
        "A refused eval has a code that the contract knows and a terminated UTF-8 text.",
        "Errors: return a status and write err->text (err->code is not read); err is never NULL.",
        &["value.answers"],
        texts,
    ),
    Test::new(
        "errors.shapes",
        "A call of the wrong shape is refused, not computed: columns, element types, directions without products, and \
         what is not claimed.",
        "the caller asked for something that makes no sense",
        &["value.answers"],
        shapes,
    ),
    Test::new(
        "errors.after",
        "A refused call leaves the loss working as before.",
        "No init or shutdown: whatever open makes, close unmakes, threads included.",
        &["value.answers"],
        after,
    ),
    Test::new(
        "errors.close",
        "Closing a loss returns, after a failed call and without any.",
        "frees; never fails",
        &["value.answers"],
        close,
    ),
];

/// A call that must be refused: what is wrong with it, and the call.
type Wrong<'a> = (&'static str, Call<'a>);

/// The ways to be wrong that a loss can be asked for, at the two rows of `theta`.
fn wrong<'a>(loss: &OpenLoss<'_>, theta: &'a [f64]) -> Outcome<Vec<Wrong<'a>>> {
    let (call, p) = (Call::of(theta), loss.p()?);
    let mut all: Vec<Wrong<'a>> = vec![
        ("theta with one column too many", call.edit(|eval| eval.theta = wider(eval.theta))),
        ("theta of i32", call.edit(|eval| eval.theta.dtype = dtype::I32)),
        ("theta of an element type that does not exist", call.edit(|eval| eval.theta.dtype = 99)),
    ];
    if p > 1 {
        all.push(("theta with one column too few", call.edit(|eval| eval.theta.cols -= 1)));
    }
    if loss.info()?.memories & (1 << memory::CUDA) == 0 {
        all.push(("theta in the memory of a device", call.edit(|eval| eval.theta.memory = memory::CUDA)));
    }
    // What an output of a wrong shape would overwrite is room.
    match loss.has(cap::GRAD)? {
        true => {
            let grad = call.grad();
            all.push(("grad of another element type than theta", grad.edit(|eval| eval.grad.dtype = dtype::I64)));
            all.push(("grad with fewer rows than theta", grad.edit(|eval| eval.grad.rows -= 1)));
        }
        false => all.push(("a gradient, which is not claimed", call.grad())),
    }
    match loss.has(cap::HVP)? {
        true => {
            let hvp = call.hvp(theta);
            all.push(("dir without hvp", hvp.edit(|eval| eval.hvp = View::NONE)));
            all.push(("hvp without dir", hvp.edit(|eval| eval.dir = View::NONE)));
        }
        false => all.push(("a Hessian-vector product, which is not claimed", call.hvp(theta))),
    }
    if !loss.has(cap::MINIBATCH)? {
        all.push(("chosen samples, which is not claimed", call.ids(&[0])));
    }
    Ok(all)
}

/// A column more, in rows as far apart as before where there is room.
fn wider(view: View) -> View {
    View { cols: view.cols + 1, row_stride: view.row_stride.max(view.cols + 1), ..view }
}

fn shapes(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let theta = loss.points(loss.rows(2)?, random)?;
    for (what, call) in wrong(&loss, &theta)? {
        if loss.eval(&call)?.status == status::OK {
            return Err(fail(format!("{what} is refused"), "status 0"));
        }
    }
    Ok(())
}

fn texts(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let theta = loss.points(loss.rows(2)?, random)?;
    for (what, call) in wrong(&loss, &theta)? {
        let EvalAnswer { status, text, .. } = loss.eval(&call)?;
        if status != status::OK {
            Refusal { status, text }.sound(what)?;
        }
    }
    Ok(())
}

fn after(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let theta = loss.points(loss.rows(2)?, random)?;
    let (before, spread) = (loss.losses(&theta)?, loss.spread(&theta)?);
    for (what, call) in wrong(&loss, &theta)? {
        if loss.eval(&call)?.status == status::OK {
            continue; // It was not refused: errors.shapes.
        }
        let again = loss.losses(&theta).map_err(|ending| fail(format!("the loss as before {what}"), ending.text()))?;
        for (row, (a, b)) in before.iter().zip(&again).enumerate() {
            if (a - b).abs() > spread {
                return Err(fail(format!("loss {a} as before {what}"), format!("{b}")).at(row));
            }
        }
    }
    Ok(())
}

fn close(subject: &Subject, random: &mut Random) -> Outcome {
    subject.open()?.close();
    let model = subject.open()?;
    let theta = model.points(model.rows(2)?, random)?;
    for (_, call) in wrong(&model, &theta)? {
        let loss = subject.open()?;
        loss.eval(&call)?;
        loss.close();
    }
    Ok(())
}
