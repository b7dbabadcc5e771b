//! The findings on a terminal: the minima, the barcode in block characters, the score, the costs.

use super::barcode::longest;
use super::checkpoints::{Checkpoints, Curve};
use super::columns::{Column, Minima};
use super::findings::Findings;
use super::number::{column, count, counted, short};
use super::scale::Scale;
use super::words;
use crate::persistence::{Bar, DeathKind};
use crate::plain;
use crate::search::{Metric, Pair};
use crate::store::Heights;

/// At most so many rows of a table; the rest is in the files.
const MOST: usize = 40;

const BOLD: &str = "1";
const DIM: &str = "2";
const BLUE: &str = "34";
const YELLOW: &str = "33";

/// Everything a person wants to see after a run, in lines of at most `width` characters (60 at least).
pub fn table(findings: &Findings<'_>, width: usize, colour: bool) -> String {
    let ink = Ink { colour };
    let width = width.clamp(60, 120);
    let mut lines = vec![ink.paint(BOLD, &clip(findings.title, width))];
    lines.extend(wrap(&words::headline(findings), width));
    checkpoints(&mut lines, findings, width, ink);
    minima(&mut lines, findings, width, ink);
    findings.barcode.degrees().into_iter().for_each(|degree| bars(&mut lines, findings, degree, width, ink));
    let score = findings.score();
    scores(&mut lines, findings, width, ink);
    costs(&mut lines, findings, width);
    lines.extend(words::remarks(findings).iter().flat_map(|note| wrap(note, width)).map(|line| ink.paint(DIM, &line)));
    if findings.provenance.heights == Heights::UpperBounds && score.bars > 0 {
        let honest = "Heights are upper bounds; finitely many minima see part of the barcode.";
        lines.extend(wrap(honest, width).iter().map(|line| ink.paint(DIM, line)));
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn scores(lines: &mut Vec<String>, findings: &Findings<'_>, width: usize, ink: Ink) {
    let score = findings.score();
    if score.bars == 0 {
        return;
    }
    lines.push(String::new());
    if let Some(text) = words::no_pass(findings, &score) {
        lines.extend(wrap(&format!("TO-score {text}"), width));
        return;
    }
    let none = if score.zero > 0 { format!(", {} of them of no length", score.zero) } else { String::new() };
    let bars = counted(score.bars, "finite bar", "finite bars");
    lines.push(ink.paint(BOLD, &format!("TO-score of {bars}{none}")));
    for (name, definition, value) in words::scores(&score) {
        let value = short(value);
        lines.push(clip(&format!("  {name:<13}  {value:>10}  {definition}"), width));
    }
    if let Some(sure) = &score.without_doubtful {
        let doubtful = counted(score.doubtful, "doubtful bar", "doubtful bars");
        lines.push(format!("  without {doubtful}: mean {}, max {}", short(sure.mean), short(sure.max)));
    }
}

#[derive(Clone, Copy)]
struct Ink {
    colour: bool,
}

impl Ink {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn minima(lines: &mut Vec<String>, findings: &Findings<'_>, width: usize, ink: Ink) {
    let Some(minima) = Minima::of(findings) else { return };
    let metrics = minima.metrics();
    let metric = |is: fn(&Metric) -> bool| metrics.iter().copied().find(|m| matches!(m, Column::Metric(of) if is(of)));
    let own = metric(|metric| *metric == Metric::OwnStatistics);
    // There is room for one more: how well it does on what it has not seen.
    let unseen = metric(Metric::is_unseen_accuracy);
    let mut columns = vec![Column::Cell, Column::Loss];
    columns.extend(own);
    columns.push(Column::Gradient);
    columns.extend(unseen);
    columns.push(Column::Remarks);
    let mut columns: Vec<(Column<'_>, String, Vec<String>)> =
        columns.into_iter().map(|column| (column, column.short_name(), minima.cells(column))).collect();
    columns.retain(|(column, _, cells)| column.is_number() || cells.iter().any(|cell| !cell.is_empty()));
    let columns = columns.into_iter().map(|(column, name, cells)| (name, column.is_number(), cells)).collect();
    grid(lines, columns, width, ink);
}

/// Several points that were given, and what lies between any two of them.
fn checkpoints(lines: &mut Vec<String>, findings: &Findings<'_>, width: usize, ink: Ink) {
    let Some(given) = Checkpoints::of(findings).filter(|given| given.rows.len() > 1) else { return };
    let [losses, fell] = given.losses();
    let number = |x: Option<u64>| x.map_or("none".to_owned(), |x| x.to_string());
    let column = |name: &str, cells: Vec<String>| (name.to_owned(), true, cells);
    let mut columns = vec![("checkpoint".to_owned(), false, given.short_names().to_vec()), column("loss", losses)];
    columns.extend(given.are_polished().then(|| column("fell by", fell)));
    columns.push(column("minimum", given.rows.iter().map(|row| number(row.own())).collect()));
    columns.push(column("basin", given.rows.iter().map(|row| number(row.basin.map(|n| n as u64))).collect()));
    grid(lines, columns, width, ink);
    if given.pairs.is_empty() {
        return;
    }
    let barriers = |curve: Curve| {
        let told = given.pairs.iter().map(|pair| curve.of(pair));
        told.map(|along| along.map_or(String::new(), |along| given.rise(along.barrier))).collect()
    };
    let curves = given.curves();
    let between = given.pairs.iter().map(|pair| given.between(pair)).collect();
    let mut columns = vec![("barrier between".to_owned(), false, between)];
    let lines_of = curves.iter().filter(|curve| **curve != Curve::Path);
    columns.extend(lines_of.map(|curve| column(curve.short_name(), barriers(*curve))));
    columns.push(column("path climbs", given.pairs.iter().map(|pair| given.climb(pair)).collect()));
    // There is room for one more: how badly it does on the way on what it has not seen.
    if let Some(unseen) = given.metrics().into_iter().find(|metric| metric.is_unseen_accuracy()) {
        let least = |pair: &Pair, curve: &Curve| curve.of(pair).and_then(|along| along.range(unseen));
        let least = |pair: &&Pair| {
            let all = curves.iter().map(|curve| least(pair, curve).map_or("–".to_owned(), |(low, _)| short(low)));
            all.collect::<Vec<_>>().join(" / ")
        };
        columns.push(column(&format!("least {unseen}"), given.pairs.iter().map(least).collect()));
    }
    grid(lines, columns, width, ink);
}

/// A table below an empty line: of each column its head, whether it stands to the right, and what it holds.
fn grid(lines: &mut Vec<String>, columns: Vec<(String, bool, Vec<String>)>, width: usize, ink: Ink) {
    lines.push(String::new());
    let count = columns.iter().map(|(.., cells)| cells.len()).max().unwrap_or(0);
    let wide: Vec<usize> = columns
        .iter()
        .map(|(name, _, cells)| cells.iter().chain([name]).map(|cell| length(cell)).max().unwrap_or(0))
        .collect();
    let row = |cells: Vec<&str>| -> String {
        let padded = cells.iter().zip(&columns).zip(&wide).map(|((cell, (_, is_right, _)), wide)| match is_right {
            true => format!("{}{cell}", " ".repeat(wide - length(cell))),
            false => format!("{cell}{}", " ".repeat(wide - length(cell))),
        });
        clip(padded.collect::<Vec<_>>().join("  ").trim_end(), width)
    };
    lines.push(ink.paint(BOLD, &row(columns.iter().map(|(name, ..)| name.as_str()).collect())));
    for i in 0..count.min(MOST) {
        lines.push(row(columns.iter().map(|(.., cells)| cells[i].as_str()).collect()));
    }
    if count > MOST {
        lines.push(ink.paint(DIM, &format!("and {} more, in report.html", count - MOST)));
    }
}

fn bars(lines: &mut Vec<String>, findings: &Findings<'_>, degree: u32, width: usize, ink: Ink) {
    let all: Vec<&Bar> = findings.barcode.counted(degree).filter(|bar| bar.birth.is_finite()).collect();
    let (bars, all) = (longest(&all, MOST), all.len());
    let Some(label) = bars.iter().map(|bar| length(&bar.birth_cell.to_string())).max() else { return };
    let ends: Vec<f64> = bars.iter().flat_map(|bar| [Some(bar.birth), bar.death()]).flatten().collect();
    // What is so far below the greatest value is a zero with rounding errors.
    let least = 1e-12 * ends.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let births: Vec<f64> = bars.iter().map(|bar| if bar.birth.abs() < least { 0.0 } else { bar.birth }).collect();
    let (label, births) = (label.max(4), column(&births, 4));
    let born = births.iter().map(|text| length(text)).max().unwrap_or(0).max(5);
    // What is left of the line, shared by the bar and its length; the number needs 14.
    let room = width.saturating_sub(label + born + 4 + 14);
    let (columns, spans) = (room * 3 / 5, room - room * 3 / 5 - 2);
    let lengths: Vec<f64> = bars.iter().filter_map(|bar| bar.length()).map(f64::abs).collect();
    let across = Scale::of(&ends, 0.0, (columns - 1) as f64);
    let along = Scale::log(&lengths, 0.0, spans as f64);

    lines.push(String::new());
    let height = if degree == 0 && findings.searched() { "escape height" } else { "length" };
    let mut across_name = words::value_name(findings).to_lowercase();
    across_name += if across.is_log() { " (log axis)" } else { "" };
    let head = format!("{:>label$}  {:>born$}  {across_name:<columns$}  {height} (log axis)", "cell", "birth");
    if !findings.searched() || degree > 0 {
        lines.push(ink.paint(BOLD, &format!("degree {degree}, {}", counted(all as u64, "bar", "bars"))));
    }
    lines.push(ink.paint(BOLD, &clip(&head, width)));
    for (bar, birth) in bars.iter().zip(&births) {
        let doubt = bar.is_doubtful();
        let id = bar.birth_cell;
        let pad = " ".repeat(born - length(birth));
        let (before, drawn, after) = strip(bar, &across, columns, findings.superlevel);
        let mut line = format!("{id:>label$}  {pad}{birth}  {before}{}{after}  ", ink.paint(BLUE, &drawn));
        match bar.length().map(f64::abs) {
            Some(length) => {
                let mark = match bar.death_kind() {
                    Some(DeathKind::PathMaximum) => "◇",
                    Some(DeathKind::CriticalPoint) => "▲",
                    _ => "◆",
                };
                let doubt = if doubt { "?" } else { "" };
                line += &ink.paint(BLUE, &blocks(along.at(length)));
                line += &format!("{} {}{doubt}", ink.paint(YELLOW, mark), short(length));
            }
            None => line += &ink.paint(DIM, "never dies"),
        }
        lines.push(line);
    }
    if all > MOST {
        let rest = if findings.searched() { "all are in barcode.csv" } else { "--json gives all" };
        lines.push(ink.paint(DIM, &format!("the {MOST} longest of {all}; {rest}")));
    }
    let any = |what: &dyn Fn(&Bar) -> bool| bars.iter().any(|bar| what(bar));
    let marks = [
        ("◆ verified saddle", any(&|bar| bar.death_kind() == Some(DeathKind::VerifiedSaddle))),
        ("◆ verified kink saddle", any(&|bar| bar.death_kind() == Some(DeathKind::VerifiedKinkSaddle))),
        ("▲ point of higher index", any(&|bar| bar.death_kind() == Some(DeathKind::CriticalPoint))),
        ("◇ path maximum", any(&|bar| bar.death_kind() == Some(DeathKind::PathMaximum))),
        ("? below noise or not converged", any(&|bar| bar.is_doubtful())),
    ];
    let marks: Vec<&str> = marks.iter().filter(|(_, used)| *used).map(|(mark, _)| *mark).collect();
    if !marks.is_empty() {
        lines.extend(wrap(&marks.join(", "), width).iter().map(|line| ink.paint(DIM, line)));
    }
}

/// The bar on the axis of the loss: what is blank before it, the bar, what is blank behind it.
fn strip(bar: &Bar, across: &Scale, columns: usize, superlevel: bool) -> (String, String, String) {
    let cell = |x: f64| (across.at(x).round() as usize).min(columns - 1);
    let birth = cell(bar.birth);
    let (from, to) = match bar.death() {
        Some(death) => (birth.min(cell(death)), birth.max(cell(death))),
        None if superlevel => (0, birth),
        None => (birth, columns - 1),
    };
    let drawn = (from..=to).map(|i| match (i == birth, bar.death().is_none() && (i == from || i == to)) {
        (true, _) => '●',
        (false, true) => {
            if superlevel {
                '◀'
            } else {
                '▶'
            }
        }
        (false, false) => '━',
    });
    (" ".repeat(from), drawn.collect(), " ".repeat(columns - 1 - to))
}

/// A bar of eighths of a character; never quite nothing.
fn blocks(length: f64) -> String {
    const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
    let eighths = ((length * 8.0).round() as usize).max(1);
    let rest = (eighths % 8).checked_sub(1).map(|i| EIGHTHS[i]);
    std::iter::repeat_n('█', eighths / 8).chain(rest).collect()
}

fn costs(lines: &mut Vec<String>, findings: &Findings<'_>, width: usize) {
    let (stages, all) = (findings.evaluations(), findings.evaluations_in_all());
    let seconds = findings.seconds_in_all();
    let mut text = String::new();
    if all > 0 {
        let each: Vec<String> = stages.iter().map(|(name, tally)| format!("{name} {}", count(tally.total()))).collect();
        text = format!("{} ({})", counted(all, "evaluation", "evaluations"), each.join(", "));
    }
    if seconds > 0.0 {
        let time = if seconds < 100.0 { format!("{seconds:.1} s") } else { format!("{:.1} min", seconds / 60.0) };
        text = if text.is_empty() { time } else { format!("{text} in {time}") };
    }
    if !findings.is_complete() {
        text += if text.is_empty() { "Stopped early" } else { "; stopped early" };
    }
    if !text.is_empty() {
        lines.push(String::new());
        lines.extend(wrap(&format!("{text}."), width));
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Foreign text comes into the table through here or through [`wrap`], and is plain from then on.
fn clip(text: &str, width: usize) -> String {
    let text = &plain::line(text);
    if length(text) <= width { text.to_owned() } else { text.chars().take(width - 1).chain(['…']).collect() }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in plain::lines(text).split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if length(line) + 1 + length(word) <= width => *line = format!("{line} {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
