//! Group `load`: the file, its symbols, and the table that the entry symbol returns.

use crate::check::plugin::{Fence, Host};
use crate::check::test::{Outcome, Random, Subject, Test, fail, skip, warn};
use crate::loss::table::is_name;
use mountainpass_sdk::abi::{self, ext};
use object::{Object, ObjectSymbol};
use std::mem::offset_of;
use std::time::{Duration, Instant};

/// The group's part of the list.
pub const TESTS: &[Test] = &[
    Test::new(
        "load.opens",
        "The file is a shared library of this machine with nothing unresolved, and exports the entry symbol.",
        "A plugin is one shared library",
        &[],
        |subject, _| subject.load().map(drop),
    ),
    Test::new(
        "load.one-symbol",
        "It exports the entry symbol and nothing else.",
        "The only exported symbol.",
        &["load.opens"],
        one_symbol,
    ),
    Test::new(
        "load.table",
        "The entry symbol returns a table, or NULL with a text that says why.",
        "Errors: return a status and write err->text (err->code is not read); err is never NULL.",
        &["load.opens"],
        table,
    ),
    Test::new(
        "load.sizes",
        "Every constant record states its own size: the table, devices and extensions.",
        "The module that fills a struct stamps struct_size; the module that reads it checks.",
        &["load.table"],
        sizes,
    ),
    Test::new(
        "load.slots",
        "Every required slot of the table is filled.",
        "plugin-owned, constant; returned by entry",
        &["load.sizes"],
        slots,
    ),
    Test::new(
        "load.texts",
        "Name and version are terminated UTF-8, the name made of 1 to 64 letters, digits, dots, hyphens and underscores.",
        "All text is UTF-8 and NUL-terminated.",
        &["load.sizes"],
        texts,
    ),
    Test::new(
        "load.minor",
        "The table's abi_minor is one this checker knows.",
        "A later minor only appends fields; a field of minor m is set towards plugins whose table says abi_minor >= m.",
        &["load.sizes"],
        minor,
    ),
    Test::new(
        "load.entry",
        "The entry symbol is fast, and gives the same table every time.",
        "Fast (<100 ms), touches no device, keeps no state; host is for this call only.",
        &["load.table"],
        entry,
    ),
    Test::new(
        "load.short-host",
        "The entry symbol and open read nothing of the host beyond its struct_size.",
        "A field exists only if MPASS_HAS says so; a missing field reads as zero, so zero is the cautious answer.",
        &["open.opens"],
        short_host,
    ),
];

/// What linkers export of their own accord, without harm.
const LINKERS: [&str; 7] = ["_init", "_fini", "_edata", "_end", "__bss_start", "_etext", "__end__"];

fn one_symbol(subject: &Subject, _: &mut Random) -> Outcome {
    let file = &subject.trial().file;
    let bytes = std::fs::read(file).map_err(|e| skip(format!("cannot read {}: {e}", file.display())))?;
    let parsed = object::File::parse(&*bytes).map_err(|e| skip(format!("cannot read its symbols: {e}")))?;
    let entry = abi::ENTRY_SYMBOL.to_string_lossy();
    let exported = parsed.dynamic_symbols().filter(|symbol| symbol.is_global() && symbol.is_definition());
    let name =
        |symbol: &object::Symbol<'_, '_>| String::from_utf8_lossy(symbol.name_bytes().unwrap_or_default()).into_owned();
    let others = exported.filter(|symbol| name(symbol) != *entry && !LINKERS.contains(&&*name(symbol)));
    // What C++ compilers make on their own, templates of the standard library, is weak, and harmless under RTLD_LOCAL.
    let (weak, strong): (Vec<_>, Vec<_>) = others.partition(object::ObjectSymbol::is_weak);
    let listed = |symbols: &[object::Symbol<'_, '_>]| {
        let names: Vec<String> = symbols.iter().take(5).map(name).collect();
        format!("{} others: {}", symbols.len(), names.join(", "))
    };
    match (strong.is_empty(), weak.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(fail(format!("{entry} and nothing else"), listed(&strong))),
        (true, false) => Err(warn(format!(
            "weak symbols are exported ({}): -fvisibility=hidden, or a linker's version \
                                           script, hides them",
            listed(&weak)
        ))),
    }
}

fn table(subject: &Subject, _: &mut Random) -> Outcome {
    match subject.enter(&*Host::new(1)?)? {
        (Some(_), _) => Ok(()),
        (None, text) if text.says_something() => Err(warn(format!("it refuses: {}", text.shown()))),
        (None, text) => Err(fail("a table, or a text that says why not", format!("NULL and {}", text.shown()))),
    }
}

/// More bytes than a record of any minor has.
const ABSURD: u32 = 1 << 16;

fn sizes(subject: &Subject, _: &mut Random) -> Outcome {
    let check = |name: &str, size: u32, least: usize| {
        let fits = (least as u32..ABSURD).contains(&size);
        let expected = || format!("struct_size of {name} from {least}, below {ABSURD}");
        if fits { Ok(()) } else { Err(fail(expected(), format!("{size}"))) }
    };
    let table = subject.table()?;
    check("mpass_backend", table.size, offset_of!(abi::Backend, extension))?;
    if subject.plugin().is_err() {
        return Ok(()); // A slot is missing, which load.slots says.
    }
    for device in subject.devices().unwrap_or_default() {
        check("mpass_device", device.size, offset_of!(abi::Device, memory_bytes))?;
    }
    let extensions = [
        (ext::PARAMETERS, "mpass_ext_parameters", offset_of!(abi::ExtParameters, list)),
        (ext::START, "mpass_ext_start", offset_of!(abi::ExtStart, start)),
        (ext::METRICS, "mpass_ext_metrics", offset_of!(abi::ExtMetrics, names)),
        (ext::SYMMETRY, "mpass_ext_symmetry", offset_of!(abi::ExtSymmetry, list)),
        (ext::IDENTITY, "mpass_ext_identity", offset_of!(abi::ExtIdentity, get)),
    ];
    for (id, name, least) in extensions {
        if let Some(size) = subject.extension_size(id)? {
            check(name, size, least)?;
        }
    }
    Ok(())
}

fn slots(subject: &Subject, _: &mut Random) -> Outcome {
    subject.table()?; // One that refuses to load has no slots to look at.
    subject.plugin().map(drop).map_err(|missing| fail("a function in every slot", missing.text()))
}

fn texts(subject: &Subject, _: &mut Random) -> Outcome {
    let text = |text: Result<Option<String>, String>, name: &str| match text {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(fail("terminated UTF-8", format!("{name} is NULL"))),
        Err(flaw) => Err(fail("terminated UTF-8", flaw)),
    };
    let name = text(subject.name()?, "name")?;
    text(subject.version()?, "version")?;
    if is_name(&name) {
        return Ok(());
    }
    Err(fail("a name of 1 to 64 letters, digits and any of - _ .", format!("{name:?}")))
}

fn minor(subject: &Subject, _: &mut Random) -> Outcome {
    match subject.table()?.record.abi_minor {
        0..=abi::MINOR => Ok(()),
        later => Err(fail(format!("abi_minor up to {}", abi::MINOR), later.to_string())),
    }
}

fn entry(subject: &Subject, _: &mut Random) -> Outcome {
    let host = Host::new(1)?;
    let since = Instant::now();
    let enter = || Ok(subject.enter(&host)?.0.map(|table| table.address));
    let first = enter()?;
    let took = since.elapsed();
    let again = enter()?;
    let elsewhere = std::thread::scope(|scope| scope.spawn(enter).join());
    let elsewhere = elsewhere.map_err(|_| skip("no thread to call from"))??;
    if (again, elsewhere) != (first, first) {
        let shown = |address: Option<usize>| address.map_or("NULL".into(), |address| format!("{address:#x}"));
        let got = format!("{}, {} and, on another thread, {}", shown(first), shown(again), shown(elsewhere));
        return Err(fail("one table", got));
    }
    if took > Duration::from_millis(100) {
        return Err(warn(format!("the entry symbol took {} ms, loading included", took.as_millis())));
    }
    Ok(())
}

fn short_host(subject: &Subject, _: &mut Random) -> Outcome {
    let host = Host::sized(1, offset_of!(abi::Host, log), Fence::Guard)?;
    subject.enter(&host)?;
    // What it refuses for want of a host is its own affair.
    subject.try_open(&subject.open_call_on(&host))?.map(drop).or(Ok(()))
}
