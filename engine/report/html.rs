//! `report.html`: one page, with drawings and style inside, for a screen in light or dark and for paper.

use super::barcode::tally;
use super::checkpoints::{Checkpoints, Curve, ends_and_worst};
use super::columns::{Column, Minima, capitalised};
use super::findings::Findings;
use super::number::{count, counted, short, significant};
use super::svg::{Drawing, STYLE, escape};
use super::{barcode, lines, words};
use crate::persistence::Bar;
use crate::search::{Metric, PassKind, Path, Tally};
use std::fmt::Write;

const PAGE: &str = "
html { background: var(--paper); color: var(--ink); color-scheme: light dark; }
body { max-width: 60rem; margin: 0 auto; padding: 3rem 1.5rem 4rem;
  font: 16px/1.55 Charter, 'Iowan Old Style', 'Palatino Linotype', Palatino, Georgia, serif; }
.kicker, table, figcaption, dl, pre, .facts { font-family: 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif; }
.kicker { font-size: .8rem; color: var(--muted); letter-spacing: .02em; margin: 0; }
h1 { font-size: 1.15rem; font-weight: 600; margin: .2rem 0 1.4rem; }
.headline { font-size: 1.9rem; line-height: 1.25; max-width: none; margin: 0 0 .9rem; text-wrap: pretty; }
.facts { color: var(--muted); font-size: .88rem; margin: 0; padding: 0; list-style: none; }
.facts li { display: inline-block; }
.facts li:not(:last-child)::after { content: '·'; margin: 0 .55em; }
section { margin-top: 3rem; }
h2 { font-size: 1.2rem; font-weight: 600; margin: 0 0 .6rem; }
p { max-width: 43rem; margin: 0 0 .8rem; }
figure { margin: 0; overflow-x: auto; }
figure svg { width: 100%; height: auto; min-width: 40rem; display: block; }
figcaption { font-size: .82rem; color: var(--muted); max-width: 43rem; margin: 0 0 1rem; }
.scroll { overflow-x: auto; }
figure + .scroll { margin-top: 1.2rem; }
table { border-collapse: collapse; font-size: .84rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; vertical-align: bottom; border-bottom: 1px solid var(--muted); }
th, td { padding: .32rem 1.1rem .32rem 0; white-space: nowrap; }
td { border-bottom: 1px solid var(--rule); }
td.wide { white-space: normal; }
th:last-child, td:last-child { padding-right: 0; }
.n { text-align: right; }
.scroll + p { margin-top: .8rem; font-size: .9rem; }
.muted { color: var(--muted); }
tr.total td { border-bottom: 0; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.4rem; font-size: .84rem; margin: 0 0 1rem; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; font-size: .9rem; color: var(--muted); }
pre { font: .8rem/1.5 ui-monospace, 'DejaVu Sans Mono', monospace; overflow-x: auto; padding: .8rem 1rem;
  border: 1px solid var(--rule); border-radius: 4px; }
@media (max-width: 40rem) { body { padding-top: 1.5rem; } .headline { font-size: 1.45rem; } }
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  section { margin-top: 1.6rem; } figure, tr, dl { break-inside: avoid; } h2 { break-after: avoid; }
  figure svg { min-width: 0; } figure, .scroll { overflow: visible; }
}
";

/// The page; the drawings of tree and paths are given where there are any.
pub fn page(findings: &Findings<'_>, tree: Option<&Drawing>, paths: Option<&Drawing>) -> String {
    let title = escape(findings.title);
    let facts: String = words::facts(findings).iter().map(|fact| format!("<li>{}</li>", escape(fact))).collect();
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}: barcode</title>\n\
         <style>{STYLE}{PAGE}</style>\n</head>\n<body>\n<header>\n\
         <p class=\"kicker\">mountainpass: the barcode of a loss function</p>\n<h1>{title}</h1>\n\
         <p class=\"headline\">{}</p>\n<ul class=\"facts\">{facts}</ul>\n</header>\n<main>\n",
        escape(&words::headline(findings))
    );
    checkpoints(&mut page, findings);
    let (way, bars): (Vec<&Bar>, Vec<&Bar>) = findings.barcode.bars.iter().partition(|bar| bar.is_transit());
    if !bars.is_empty() {
        let mut what = format!("{}. {}", tally(&bars), words::bars(findings));
        if !way.is_empty() {
            what += &format!(" {}", words::way_stations(way.len() as u64));
        }
        figure(&mut page, "Barcode", &what, &barcode::draw(findings));
    }
    if let Some(tree) = tree {
        let what = "Births are leaves; two branches join at the pass between them, and the branch born later ends \
                    there. Beyond each leaf its number and, where there is room, the length of its bar. Minima met on the way, if \
                    any, are drawn faintly.";
        figure(&mut page, "Disconnectivity tree", what, tree);
    }
    if let Some(paths) = paths {
        let what = "The loss above the higher end of each path, by arc length; a path that falls far below that end is \
                    cut off at the lower edge. Each panel has its own scale.";
        figure(&mut page, "Paths", what, paths);
    }
    minima(&mut page, findings);
    passes(&mut page, findings);
    positions(&mut page, findings);
    scores(&mut page, findings);
    costs(&mut page, findings);
    let (claims, remarks) = (words::claims(findings), words::remarks(findings));
    if !claims.is_empty() || !remarks.is_empty() {
        page += "<section>\n<h2>What may be claimed</h2>\n";
        let notes = remarks.iter().map(String::as_str);
        claims.into_iter().chain(notes).for_each(|text| page += &format!("<p>{}</p>\n", escape(text)));
        page += "</section>\n";
    }
    provenance(&mut page, findings);
    page + "</main>\n</body>\n</html>\n"
}

fn figure(page: &mut String, title: &str, caption: &str, drawing: &Drawing) {
    let caption = escape(caption);
    // Writing into a String cannot fail; so below.
    let _ = write!(
        page,
        "<section>\n<h2>{title}</h2>\n<figure>\n<figcaption>{caption}</figcaption>\n{}</figure>\n</section>\n",
        drawing.inline()
    );
}

/// A table: heads with the class of the cells below, `n` for numbers, and rows with classes of their own.
fn table(page: &mut String, heads: &[(&str, &str)], rows: impl IntoIterator<Item = (&'static str, Vec<String>)>) {
    let open = |tag: &str, class: &str| match class {
        "" => format!("<{tag}>"),
        class => format!("<{tag} class=\"{class}\">"),
    };
    *page += "<div class=\"scroll\"><table>\n<thead><tr>";
    for (head, class) in heads {
        *page += &format!("{}{}</th>", open("th", if *class == "n" { class } else { "" }), escape(head));
    }
    *page += "</tr></thead>\n<tbody>\n";
    for (class, cells) in rows {
        *page += &open("tr", class);
        for ((_, class), cell) in heads.iter().zip(cells) {
            *page += &format!("{}{}</td>", open("td", class), escape(&cell));
        }
        *page += "</tr>\n";
    }
    *page += "</tbody></table></div>\n";
}

/// Points that were given, and what lies between any two of them.
fn checkpoints(page: &mut String, findings: &Findings<'_>) {
    let Some(given) = Checkpoints::of(findings) else { return };
    let is_polished = given.are_polished();
    let own = given.rows.iter().any(|row| row.beside(&Metric::OwnStatistics).is_some());
    let optional = [("Fell by", is_polished), ("With own statistics", own)];
    let optional = optional.into_iter().filter(|(_, is)| *is).map(|(head, _)| (head, "n"));
    let heads: Vec<(&str, &str)> = [("Checkpoint", ""), ("Loss as given", "n")]
        .into_iter()
        .chain(optional)
        .chain([("Minimum", "n"), ("Basin", "n")])
        .collect();
    let [losses, fell] = given.losses();
    let number = |x: Option<String>| x.unwrap_or_else(|| "none".to_owned());
    let row = |i: usize| {
        let row = &given.rows[i];
        let mut cells = vec![row.name.to_owned(), losses[i].clone()];
        cells.extend(is_polished.then(|| fell[i].clone()));
        cells.extend(own.then(|| row.beside(&Metric::OwnStatistics).map(short).unwrap_or_default()));
        cells.extend([number(row.own().map(|cell| cell.to_string())), number(row.basin.map(|n| n.to_string()))]);
        ("", cells)
    };
    *page += &format!("<section>\n<h2>Checkpoints</h2>\n<p>{}.</p>\n", given.counted());
    table(page, &heads, (0..given.rows.len()).map(row));
    *page += "</section>\n";
    if given.pairs.is_empty() {
        return;
    }
    *page += "<section>\n<h2>Pairs of checkpoints</h2>\n";
    words::pairs(&given).into_iter().for_each(|text| *page += &format!("<p>{text}</p>\n"));
    if let Some(drawing) = lines::draw(&given) {
        *page += &format!("<figure>\n{}</figure>\n", drawing.inline());
    }
    pairs(page, &given);
    *page += "</section>\n";
}

/// A row for each curve between two points.
fn pairs(page: &mut String, given: &Checkpoints<'_>) {
    let (curves, metrics) = (given.curves(), given.metrics());
    let names: Vec<String> = metrics.iter().map(|metric| capitalised(&metric.to_string())).collect();
    let known = [("Between", ""), ("Along", ""), ("Barrier", "n"), ("Climb", "n"), ("Loss", "n")];
    let heads: Vec<(&str, &str)> = known.into_iter().chain(names.iter().map(|name| (name.as_str(), "n"))).collect();
    let rows = given.pairs.iter().flat_map(|pair| {
        curves.iter().enumerate().map(|(i, curve)| {
            let between = if i == 0 { given.between(pair) } else { String::new() };
            let mut cells = vec![between, curve.name().to_owned()];
            match curve.of(pair) {
                None => cells.extend(["–", "none found", ""].map(str::to_owned)),
                Some(along) => {
                    let climb = if *curve == Curve::Path { given.climb(pair) } else { given.rise(along.climb) };
                    cells.extend([given.rise(along.barrier), climb, ends_and_worst(along, None)]);
                    cells.extend(metrics.iter().map(|metric| ends_and_worst(along, Some(metric))));
                }
            }
            cells.resize(heads.len(), String::new());
            ("", cells)
        })
    });
    table(page, &heads, rows);
}

fn minima(page: &mut String, findings: &Findings<'_>) {
    let Some(minima) = Minima::of(findings) else { return };
    let mut columns = vec![Column::Cell, Column::Origin, Column::Loss, Column::Gradient, Column::Eigenvalue];
    columns.extend(minima.metrics());
    columns.extend([Column::Height, Column::Elder, Column::Remarks]);
    let names: Vec<String> = columns.iter().map(|column| column.name()).collect();
    let class = |column: &Column<'_>| match column {
        Column::Remarks => "muted",
        column if column.is_number() => "n",
        _ => "",
    };
    let heads: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(columns.iter().map(class)).collect();
    let cells: Vec<Vec<String>> = columns.iter().map(|column| minima.cells(*column)).collect();
    let row = |i: usize| ("", cells.iter().map(|column| column[i].clone()).collect());
    *page += "<section>\n<h2>Minima</h2>\n";
    table(page, &heads, (0..minima.count()).map(row));
    if let Some(omitted) = words::omitted(findings) {
        *page += &format!("<p class=\"muted\">{omitted}</p>\n");
    }
    *page += "</section>\n";
}

/// The metrics at the passes, lowest first, of a loss that has some.
fn passes(page: &mut String, findings: &Findings<'_>) {
    let passes = findings.passes();
    let Some((_, first)) = passes.first() else { return };
    let names: Vec<String> = first.iter().map(|(metric, _)| capitalised(&metric.to_string())).collect();
    let known = [("No.", "n"), ("Kind", ""), ("Between", ""), ("Loss", "n")];
    let heads: Vec<(&str, &str)> = known.into_iter().chain(names.iter().map(|name| (name.as_str(), "n"))).collect();
    let row = |(path, metrics): &(&Path, &[(Metric, f64)])| {
        let kind = match path.pass.kind {
            kind @ (PassKind::VerifiedSaddle | PassKind::VerifiedKinkSaddle) => kind.name(),
            PassKind::PathMaximum => "maximum of a path",
        };
        let between = format!("{} and {}", path.ends.0, path.ends.1);
        let mut cells = vec![path.pass.cell.to_string(), kind.to_owned(), between, significant(path.pass.height, 6)];
        cells.extend(first.iter().map(|(metric, _)| {
            let value = metrics.iter().find(|(other, _)| other == metric);
            value.map(|(_, value)| short(*value)).unwrap_or_default()
        }));
        ("", cells)
    };
    *page += "<section>\n<h2>Passes</h2>\n<p>What the loss's metrics are at verified saddles, and at the tops of the \
              paths that decide bars.</p>\n";
    table(page, &heads, passes.iter().map(row));
    *page += "</section>\n";
}

/// Where the longest bars of a sampled loss are born and die.
fn positions(page: &mut String, findings: &Findings<'_>) {
    const MOST: usize = 20;
    let cells = &findings.barcode.cells;
    let position_of = |id: u64| {
        let at = cells.binary_search_by_key(&id, |cell| cell.id).ok();
        let position = at.map_or(&[][..], |at| cells[at].position.as_slice());
        position.iter().map(|x| short(*x)).collect::<Vec<_>>().join(", ")
    };
    if cells.iter().all(|cell| cell.position.is_empty()) {
        return;
    }
    let mut bars: Vec<&Bar> = findings.barcode.bars.iter().collect();
    let length = |bar: &Bar| bar.length().map_or(f64::INFINITY, f64::abs);
    // The order of the barcode between equal lengths.
    bars.sort_by(|a, b| a.degree.cmp(&b.degree).then(length(b).total_cmp(&length(a))));
    let row = |bar: &&Bar| {
        let (death, cell) = (bar.death().map_or("∞".to_owned(), short), bar.death_cell());
        let (birth, at) = (bar.birth_cell.to_string(), position_of(bar.birth_cell));
        let (dies, there) =
            (cell.map(|cell| cell.to_string()).unwrap_or_default(), cell.map(position_of).unwrap_or_default());
        ("", vec![bar.degree.to_string(), short(bar.birth), death, birth, at, dies, there])
    };
    let ends = [("Degree", "n"), ("Birth", "n"), ("Death", "n")];
    let cells = [("Born in cell", "n"), ("at", ""), ("Dies in cell", "n"), ("at", "")];
    *page += "<section>\n<h2>Where the longest bars lie</h2>\n";
    let longest = bars.chunk_by(|a, b| a.degree == b.degree).flat_map(|degree| degree.iter().take(MOST));
    table(page, &[&ends[..], &cells].concat(), longest.map(row));
    *page += "</section>\n";
}

fn scores(page: &mut String, findings: &Findings<'_>) {
    let score = findings.score();
    *page += "<section>\n<h2>TO-score</h2>\n";
    if score.bars == 0 {
        *page += "<p>No finite bar of degree 0: every score is 0.</p>\n</section>\n";
        return;
    }
    if let Some(text) = words::no_pass(findings, &score) {
        *page += &format!("<p>{text}</p>\n</section>\n");
        return;
    }
    let none = if score.zero > 0 { format!(" ({} of no length)", score.zero) } else { String::new() };
    let bars = counted(score.bars, "finite bar", "finite bars") + &none;
    let _ = writeln!(
        page,
        "<p>Of {bars} of degree {}; the mean is the headline number. The definitions are those of mountainpass, the \
         ideal barcode is a single half-line.</p>",
        score.degree
    );
    let mut heads = vec![("Name", ""), ("Value", "n"), ("Definition", "wide")];
    let mut rows =
        words::scores(&score).map(|(name, definition, x)| vec![name.to_owned(), short(x), definition.to_owned()]);
    if let Some(sure) = &score.without_doubtful {
        heads.insert(2, ("Without doubtful bars", "n"));
        rows.iter_mut().zip(words::scores(sure)).for_each(|(row, (.., x))| row.insert(2, short(x)));
    }
    table(page, &heads, rows.map(|row| ("", row)));
    *page += "</section>\n";
}

fn costs(page: &mut String, findings: &Findings<'_>) {
    let stages = findings.evaluations();
    if stages.is_empty() {
        return;
    }
    let numbers = |t: &Tally| [t.loss, t.gradient, t.hessian_product, t.total()];
    let all = stages.iter().fold([0; 4], |all, (_, t)| std::array::from_fn(|i| all[i] + numbers(t)[i]));
    let row = |name: &str, numbers: [u64; 4]| std::iter::once(name.to_owned()).chain(numbers.map(count)).collect();
    let rows = stages.iter().map(|(stage, t)| ("", row(stage.name(), numbers(t)))).chain([("total", row("all", all))]);
    let heads = [("Stage", ""), ("Loss", "n"), ("Gradient", "n"), ("Hessian product", "n"), ("All", "n")];
    *page += "<section>\n<h2>Evaluations</h2>\n";
    table(page, &heads, rows);
    *page += "</section>\n";
}

fn provenance(page: &mut String, findings: &Findings<'_>) {
    let from = findings.provenance;
    let number = |n: u64| if n > 0 { count(n) } else { String::new() };
    let entries = [
        ("mountainpass", from.version.clone()),
        ("Backend", [from.backend.as_str(), from.backend_version.as_str()].join(" ").trim().to_owned()),
        ("Model", from.model.clone()),
        ("Parameters", number(from.parameters)),
        ("Samples", number(from.samples)),
        ("Method", from.method.to_string()),
        ("Heights", from.heights.to_string()),
        ("Minima by", from.minima.clone()),
        ("Seed", from.seed.map(|seed| seed.to_string()).unwrap_or_default()),
        ("Model hash", from.model_hash.clone()),
        ("Data hash", from.data_hash.clone()),
        ("Configuration hash", from.config_hash.clone()),
        ("Merged with", from.merged.iter().map(|run| run.config_hash.as_str()).collect::<Vec<_>>().join(" ")),
    ];
    *page += "<section>\n<h2>Provenance</h2>\n<dl>\n";
    let versions = findings.versions().iter().map(|(name, version)| (name.as_str(), version.clone()));
    let known = |name: &str| entries.iter().any(|(entry, _)| entry.eq_ignore_ascii_case(name));
    let versions: Vec<(&str, String)> = versions.filter(|(name, _)| !known(name)).collect();
    for (name, value) in entries.iter().cloned().chain(versions).filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(&value));
    }
    *page += "</dl>\n";
    if !from.config.is_empty() {
        let config = escape(from.config.trim_end());
        let _ = writeln!(page, "<details><summary>Configuration</summary>\n<pre>{config}</pre></details>");
    }
    *page += "</section>\n";
}
