//! The disconnectivity tree (Becker and Karplus 1997): minima as leaves at their loss, joined at their passes.
//!
//! A leaf rises from its birth to its death and joins the line of its elder there. Beside an elder stand the leaves it
//! swallows, the earliest nearest, in turn left and right: so no two lines cross.

use super::barcode::{bar_class, birth_mark, death_mark, legend};
use super::findings::Findings;
use super::number::short;
use super::scale::Scale;
use super::svg::{Drawing, width};
use super::words;
use crate::persistence::Bar;
use std::collections::BTreeMap;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 104.0;
const TOP: f64 = 40.0;

/// More leaves than this no paper can hold.
const MOST: usize = 150;

/// Draws the tree of degree 0, or nothing where there is none to draw.
pub fn draw(findings: &Findings<'_>) -> Option<Drawing> {
    let bars: Vec<&Bar> = findings.barcode.degree(0).filter(|bar| bar.birth.is_finite()).collect();
    if bars.len() < 2 || bars.len() > MOST {
        return None;
    }
    let leaves = order(&bars)?;
    let ends: Vec<f64> = bars.iter().flat_map(|bar| [Some(bar.birth), bar.death()]).flatten().collect();
    let height = (13.0 * bars.len() as f64).clamp(260.0, 620.0);
    // Paper y grows downwards, the loss upwards: the births of superlevel sets are on top.
    let (low, high) = (TOP + height - 12.0, TOP + 26.0);
    let measured = Scale::of(&ends, low, high);
    let rise = |scale: &Scale, bar: &Bar| bar.death().map(|death| (scale.at(death) - scale.at(bar.birth)).abs());
    let hidden = bars.iter().filter_map(|bar| rise(&measured, bar)).any(|rise| rise < 9.0);
    let (scale, what) = match hidden {
        true => (Scale::rank(&ends, low, high), "births and passes in their order, not to scale"),
        false if measured.is_log() => (measured, "log axis"),
        false => (measured, ""),
    };

    let mut drawing = Drawing::new(WIDTH, &format!("Disconnectivity tree of {}", findings.title));
    let colon = if what.is_empty() { "" } else { ": " };
    drawing.text((LEFT, 16.0), "head", &format!("{}{colon}{what}", words::value_name(findings)));
    for (value, label) in scale.ticks(8) {
        drawing.line((LEFT, scale.at(value)), (WIDTH, scale.at(value)), "rule");
        drawing.text((LEFT - 10.0, scale.at(value) + 4.0), "muted small end", &label);
    }
    let step = ((WIDTH - LEFT - 30.0) / leaves.len() as f64).min(110.0);
    let x_of: BTreeMap<u64, f64> =
        leaves.iter().enumerate().map(|(i, bar)| (bar.birth_cell, LEFT + 20.0 + step * (i as f64 + 0.5))).collect();
    let x = |cell: &u64| x_of.get(cell).copied();
    for bar in &leaves {
        let (Some(here), birth) = (x(&bar.birth_cell), scale.at(bar.birth)) else { continue };
        let class = match (bar.is_transit(), bar_class(bar)) {
            (true, _) => "thin way",
            (_, "bar") => "thin",
            _ => "thin doubt",
        };
        match bar.death() {
            Some(death) => {
                let death = scale.at(death);
                let there = bar.elder().and_then(|elder| x(&elder)).unwrap_or(here);
                drawing.polyline(&[(here, birth), (here, death), (there, death)], class);
            }
            None => {
                let (end, way) = if findings.superlevel { (TOP + height, 1.0) } else { (TOP - 8.0, -1.0) };
                drawing.line((here, birth), (here, end - 6.0 * way), class);
                drawing.arrow((here, end), (0.0, way));
            }
        }
    }
    // The marks lie above all lines.
    for bar in &leaves {
        let (Some(here), birth) = (x(&bar.birth_cell), scale.at(bar.birth)) else { continue };
        drawing.mark((here, birth), birth_mark(bar), bar.is_transit());
        if let Some((death, kind)) = bar.death().zip(bar.death_kind()) {
            drawing.mark((here, scale.at(death)), death_mark(kind), bar.is_transit());
        }
        label(&mut drawing, bar, here, birth, step, if findings.superlevel { -1.0 } else { 1.0 });
    }
    let y = drawing.legend(LEFT, TOP + height + 44.0, &legend(&bars));
    drawing.crop(y);
    Some(drawing)
}

/// The number of the minimum and, where there is room, its escape height, beyond the end of the leaf.
fn label(drawing: &mut Drawing, bar: &Bar, x: f64, birth: f64, step: f64, way: f64) {
    let id = bar.birth_cell.to_string();
    let (near, far) = (birth + if way > 0.0 { 16.0 } else { -8.0 }, birth + if way > 0.0 { 29.0 } else { -21.0 });
    if width(&id) * 1.1 <= step {
        drawing.text((x, near), "mid", &id);
    } else if width(&id) * 0.8 <= step {
        drawing.text((x, near), "mid tiny", &id);
    }
    // Nobody looked for the lowest pass out of a way-station: its length would say more than is known.
    let known = bar.length().filter(|_| !bar.is_transit());
    let height = known.map(|length| short(length.abs())).unwrap_or_default();
    if width(&height) + 6.0 <= step {
        drawing.text((x, far), "mid muted small", &height);
    }
}

/// The leaves from left to right; nothing when the elders do not make a tree.
fn order<'a>(bars: &[&'a Bar]) -> Option<Vec<&'a Bar>> {
    let known: BTreeMap<u64, &Bar> = bars.iter().map(|bar| (bar.birth_cell, *bar)).collect();
    let mut swallowed: BTreeMap<u64, Vec<&Bar>> = BTreeMap::new();
    let mut roots = Vec::new();
    for bar in bars {
        match bar.elder().filter(|elder| bar.death().is_some() && *elder != bar.birth_cell && known.contains_key(elder))
        {
            Some(elder) => swallowed.entry(elder).or_default().push(bar),
            None => roots.push(*bar),
        }
    }
    for children in swallowed.values_mut() {
        // By death, seen from the births: of superlevel sets the highest first.
        children.sort_by(|a, b| height(a).total_cmp(&height(b)).then(a.birth_cell.cmp(&b.birth_cell)));
    }
    // Without recursion: a chain of a thousand elders must not end the stack. A frame is a leaf that is either to be
    // unfolded or to be put down.
    let mut leaves = Vec::with_capacity(bars.len());
    let mut stack: Vec<(&Bar, bool)> = roots.iter().rev().map(|root| (*root, false)).collect();
    while let Some((bar, unfolded)) = stack.pop() {
        let children = swallowed.get(&bar.birth_cell).filter(|_| !unfolded);
        let Some(children) = children else {
            leaves.push(bar);
            continue;
        };
        // Left of the elder the latest is outermost, right of it too.
        let left = children.iter().skip(1).step_by(2).rev();
        let right = children.iter().step_by(2);
        let row: Vec<(&Bar, bool)> =
            left.map(|b| (*b, false)).chain([(bar, true)]).chain(right.map(|b| (*b, false))).collect();
        stack.extend(row.into_iter().rev());
    }
    (leaves.len() == bars.len()).then_some(leaves)
}

/// How far above the lowest value a bar of sublevel sets dies; of superlevel sets, how far below the highest.
fn height(bar: &Bar) -> f64 {
    let death = bar.death().unwrap_or(f64::INFINITY);
    if death < bar.birth { -death } else { death }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::{Death, DeathAt};

    fn bar(birth_cell: u64, birth: f64, end: Option<(f64, u64)>) -> Bar {
        Bar {
            degree: 0,
            birth,
            birth_cell,
            end: end.map(|(value, elder)| Death { value, cell: 7, elder: Some(elder), at: DeathAt::Cell }),
            searched: None,
            cycle: Vec::new(),
        }
    }

    #[test]
    fn no_two_lines_of_a_tree_cross() {
        // A leaf between a child and its elder must have died before the child does.
        let bars = [
            bar(0, 0.0, None),
            bar(1, 1.0, Some((9.0, 0))),
            bar(2, 2.0, Some((5.0, 0))),
            bar(3, 3.0, Some((4.0, 1))),
            bar(4, 2.5, Some((6.0, 1))),
            bar(5, 2.6, Some((7.0, 0))),
            bar(6, 2.7, Some((3.0, 5))),
        ];
        let leaves = order(&bars.iter().collect::<Vec<_>>()).unwrap();
        let row = |cell: u64| leaves.iter().position(|bar| bar.birth_cell == cell).unwrap();
        for child in &leaves {
            let (Some(death), Some(elder)) = (child.death(), child.elder()) else { continue };
            let (a, b) = (row(child.birth_cell).min(row(elder)), row(child.birth_cell).max(row(elder)));
            assert!(leaves[a + 1..b].iter().all(|between| between.death().unwrap() <= death), "{child:?}");
        }
    }

    #[test]
    fn elders_in_a_circle_are_no_tree() {
        let bars = [bar(0, 0.0, Some((1.0, 1))), bar(1, 0.0, Some((1.0, 0)))];
        assert!(order(&bars.iter().collect::<Vec<_>>()).is_none());
    }
}
