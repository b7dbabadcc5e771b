//! Group `open`: opening and closing losses, what they say about themselves, and what is refused.

use crate::check::plugin::process::{Captured, ProcessState, ProcessUsage};
use crate::check::plugin::{Call, OpenCall, shown};
use crate::check::test::{Outcome, Random, Subject, Test, fail, skip, warn};
use crate::loss::{Declared, Kind};
use mountainpass_sdk::abi::{cap, dtype, memory};
use std::time::{Duration, Instant};

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "open.opens",
        "A loss opens with the model and options given.",
        "Life: entry > probe* > open > (info, eval, extensions)* > close.",
        &["load.slots"],
        |subject, _| subject.open().map(drop),
    ),
    Test::new(
        "open.info",
        "Its info makes sense and stays the same until close.",
        "plugin-owned, constant until close",
        &["open.opens"],
        info,
    ),
    Test::new(
        "open.bad-option",
        "An option nobody knows is refused with a text that names it.",
        "Refuse what you do not know, by name.",
        &["open.opens"],
        bad_option,
    ),
    Test::new(
        "open.options",
        "What is declared as an option is well-formed, and none of it is unknown to open.",
        "what is declared is never refused as unknown",
        &["open.opens"],
        options,
    ),
    Test::new(
        "open.bad-model",
        "A model nobody knows is refused with a text.",
        "path or backend-specific name; NULL if model_bytes",
        &["open.opens"],
        bad_model,
    ),
    Test::new(
        "open.bad-device",
        "A device index beyond the last of probe is refused with a text.",
        "index as listed by probe",
        &["open.opens"],
        bad_device,
    ),
    Test::new(
        "open.thousand",
        "Opening and closing again and again, up to a thousand times, leaves no memory, descriptor or thread behind.",
        "No init or shutdown: whatever open makes, close unmakes, threads included.",
        &["open.opens"],
        thousand,
    ),
    Test::new(
        "open.process",
        "Loading, open, eval and close leave the process as it was: working directory, environment, signal handlers, \
         children, standard streams, limits, file mask, and the mode of the floating-point unit.",
        "whatever open makes, close unmakes, threads included.",
        &["value.answers"],
        process,
    ),
    Test::new(
        "open.exit",
        "Once all is closed the process can end: no exit handler and no destructor crashes or hangs.",
        "No init or shutdown: whatever open makes, close unmakes, threads included.",
        &["value.answers"],
        life,
    )
    .ending(),
    Test::new(
        "open.silent",
        "Nothing is printed on the standard streams, since the log is host->log.",
        "void (*log)(void *ctx, int32_t level, const char *text);",
        &["value.answers"],
        silent,
    ),
];

/// The words that nobody knows.
const UNKNOWN: &str = "no-such-thing";

fn info(subject: &Subject, _: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let info = loss.info()?;
    let wrong = |expected: &str, got: String| Err(fail(expected, got));
    if info.rows_max != 0 && info.rows_best > info.rows_max {
        return wrong("rows_best up to rows_max", format!("rows_best {}, rows_max {}", info.rows_best, info.rows_max));
    }
    if !(info.noise.is_finite() && info.noise >= 0.0) {
        return wrong("a noise of 0 or more", format!("{}", info.noise));
    }
    if !(loss.offers(dtype::F64)? || loss.offers(dtype::F32)?) {
        return wrong("f32 or f64 among dtypes", format!("dtypes {:#b}", info.dtypes));
    }
    if info.memories & (1 << memory::HOST) == 0 {
        return wrong("host memory among memories", format!("memories {:#b}", info.memories));
    }
    let promises = cap::GRAD | cap::HVP | cap::MINIBATCH | cap::REPEATABLE | cap::SMOOTH | cap::JOINT;
    let unknown = info.caps & !(promises | cap::MANY | cap::CANCEL | cap::CALLER_THREAD);
    if unknown != 0 {
        return wrong("capabilities of this minor", format!("caps {:#x}, of which {unknown:#x} is unknown", info.caps));
    }
    if loss.has(cap::MINIBATCH)? && info.samples == 0 {
        return wrong("samples, since MPASS_CAP_MINIBATCH is claimed", "samples 0".into());
    }
    let other = subject.open()?;
    other.info()?;
    drop(other);
    let again = loss.read_info()?;
    if shown(&again) != shown(&info) {
        return wrong(&shown(&info), shown(&again));
    }
    Ok(())
}

/// Opens what must be refused with a text, and returns the text.
fn refused(subject: &Subject, request: &OpenCall, what: &str) -> Outcome<String> {
    let Err(refusal) = subject.try_open(request)? else {
        return Err(fail(format!("{what} is refused"), "it is opened"));
    };
    refusal.sound(what)?;
    Ok(refusal.text.shown())
}

fn bad_option(subject: &Subject, _: &mut Random) -> Outcome {
    let mut request = subject.open_call()?;
    request.options.push((UNKNOWN.into(), "1".into()));
    let text = refused(subject, &request, &format!("the option {UNKNOWN}"))?;
    if text.contains(UNKNOWN) { Ok(()) } else { Err(fail(format!("a text with {UNKNOWN} in it"), text)) }
}

fn options(subject: &Subject, _: &mut Random) -> Outcome {
    let declared = subject.declared()?.map_err(|text| fail("options that are well-formed", text))?;
    if declared.is_empty() {
        return Err(skip("it declares no options"));
    }
    let given = subject.open_call()?.options;
    let said_of = |key: &str, value: &str| -> Outcome<Option<String>> {
        let mut request = subject.open_call()?;
        request.options.push((key.into(), value.into()));
        Ok(subject.try_open(&request)?.err().map(|refusal| refusal.text.shown()))
    };
    // Where it takes what nobody knows, nothing is unknown to it.
    let Some(of_unknown) = said_of(UNKNOWN, "1")? else { return Ok(()) };
    for option in declared.iter().filter(|option| given.iter().all(|(key, _)| *key != option.name)) {
        let value = sample(option);
        let refused = said_of(&option.name, &value)?;
        if let Some(text) = refused.filter(|text| says_alike((&of_unknown, UNKNOWN), (text, &option.name))) {
            return Err(fail(format!("{} = {value}, which is declared, is known", option.name), text));
        }
    }
    Ok(())
}

/// A value that an option may have.
fn sample(option: &Declared) -> String {
    let any = match option.kind {
        Kind::Integer | Kind::Number => "1",
        Kind::Boolean => "true",
        Kind::Text | Kind::Path | Kind::List => "x",
    };
    option.default.as_ref().or(option.words.first()).map_or(any, String::as_str).to_owned()
}

/// Whether two texts say the same, each of its name: in what stands before it, and in the first words behind it. The rest
/// may tell what is meant instead, and differ.
fn says_alike((text, name): (&str, &str), (other, other_name): (&str, &str)) -> bool {
    let parts = |text: &str, name: &str| {
        let (before, behind) = text.split_once(name)?;
        let words: Vec<String> = behind.split_whitespace().take(3).map(str::to_owned).collect();
        Some((before.to_owned(), words))
    };
    parts(text, name).is_some_and(|said| parts(other, other_name) == Some(said))
}

fn bad_model(subject: &Subject, _: &mut Random) -> Outcome {
    let request = OpenCall { model: Some(UNKNOWN.into()), ..subject.open_call()? };
    refused(subject, &request, &format!("the model {UNKNOWN}")).map(drop)
}

fn bad_device(subject: &Subject, _: &mut Random) -> Outcome {
    let devices = subject.devices()?.len() as u32;
    for device in [devices.max(1), u32::MAX] {
        let request = OpenCall { device, ..subject.open_call()? };
        refused(subject, &request, &format!("device {device} (probe lists {devices})"))?;
    }
    Ok(())
}

/// How long opening and closing goes on at most, so that a slow plugin does not keep a person waiting.
const PATIENCE: Duration = Duration::from_secs(3);
/// All losses of a quarter together may leave this much behind, the noise of counting pages: 256 bytes each of a thousand,
/// more where patience ended earlier.
const NOISE: usize = 64 << 10;

fn thousand(subject: &Subject, _: &mut Random) -> Outcome {
    let request = subject.open_call()?;
    subject.opened(&request)?.close();
    let (since, before) = (Instant::now(), ProcessUsage::now());
    let mut resident = Vec::new();
    for i in 0..1000 {
        subject.opened(&request)?.close();
        resident.push(ProcessUsage::now().resident);
        if since.elapsed() > PATIENCE && i > 10 {
            break;
        }
    }
    let after = ProcessUsage::settled(before.threads, Duration::from_secs(2));
    let times = resident.len();
    if after.threads > before.threads {
        let got = format!("{} more, after {times} times", after.threads - before.threads);
        return Err(fail("no thread that open made", got));
    }
    if after.descriptors > before.descriptors {
        let got = format!("{} more, after {times} times", after.descriptors - before.descriptors);
        return Err(fail("no descriptor that open made", got));
    }
    // The first half may fill caches, and one quarter an arena; a leak is in each.
    let [middle, late, last] = [times / 2, times * 3 / 4, times - 1].map(|at| resident[at]);
    let grown = late.saturating_sub(middle).min(last.saturating_sub(late));
    if grown > NOISE {
        let each = grown / (times / 4);
        return Err(warn(format!("every open and close leaves about {each} bytes behind ({times} times)")));
    }
    Ok(())
}

/// Opens, evaluates and closes once.
fn life(subject: &Subject, random: &mut Random) -> Outcome {
    let loss = subject.open()?;
    let theta = loss.points(1, random)?;
    loss.eval(&Call::of(&theta)).map(drop)
}

fn process(subject: &Subject, random: &mut Random) -> Outcome {
    let before = ProcessState::now();
    life(subject, random)?;
    match before.difference(&ProcessState::now()) {
        None => Ok(()),
        Some(difference) => Err(fail("a process as it was", difference)),
    }
}

fn silent(subject: &Subject, random: &mut Random) -> Outcome {
    let captured = Captured::begin().map_err(|e| skip(format!("cannot watch the standard streams: {e}")))?;
    let lived = subject.devices().and_then(|_| life(subject, random));
    let printed = captured.end().map_err(|e| skip(format!("cannot watch the standard streams: {e}")))?;
    lived?;
    if printed.is_empty() {
        Ok(())
    } else {
        Err(fail("nothing printed", printed.chars().take(200).collect::<String>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_an_unknown_option_is_told_from_what_is_said_of_a_value() {
        let alike = |of_unknown: &str, of_tilt: &str| says_alike((of_unknown, "no-such-thing"), (of_tilt, "tilt"));
        for (of_unknown, of_tilt) in [
            (
                "unknown option \"no-such-thing\"; the nearest is \"n\"",
                "unknown option \"tilt\"; the nearest is \"till\"",
            ),
            ("there are no options: no-such-thing", "there are no options: tilt"),
            ("no option \"no-such-thing\": there is n", "no option \"tilt\": there is n"),
        ] {
            assert!(alike(of_unknown, of_tilt), "{of_tilt}");
        }
        for (of_unknown, of_tilt) in [
            ("no option \"no-such-thing\": there is tilt", "option tilt = \"1\": wants a number"),
            ("option no-such-thing: nobody knows it", "option tilt: cannot read \"1\""),
            (
                "unknown option \"no-such-thing\"; the nearest is \"n\"",
                "unknown value of tilt \"1\"; the nearest is \"2\"",
            ),
        ] {
            assert!(!alike(of_unknown, of_tilt), "{of_tilt}");
        }
    }
}
