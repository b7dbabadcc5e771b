//! Findings as rows of the tables, and back.

use super::census::Pen;
use super::exact::{Exact, ExactEvidence, Floats, bytes};
use super::record::{NOISE, pair_key};
use super::tables::{CELLS, EVALUATIONS, META, MINIMA, PATHS, VALUES};
use crate::persistence::CellKind;
use crate::search::{Critical, Evidence, Finding, Metric, Minimum, Pass, Path as Curve, Profile, Stage, Tally};
use rusqlite::Row;
use serde::{Serialize, de::DeserializeOwned};

/// Keeps one finding.
pub fn put(pen: &mut Pen<'_>, finding: &Finding<'_>) -> rusqlite::Result<()> {
    match finding {
        Finding::Minimum(m) => {
            put_cell(pen, m.cell, 0, CellKind::Minimum.name(), m.loss, &m.theta, Some(&m.evidence))?;
            let metrics: Vec<(&Metric, Exact)> = m.metrics.iter().map(|(metric, x)| (metric, Exact(*x))).collect();
            let same_as = m.same_as.map(u64::cast_signed);
            pen.put(
                &MINIMA,
                &[
                    &m.cell.cast_signed(),
                    &json(&m.origin)?,
                    &word(&m.descent)?,
                    &same_as,
                    &json(&metrics)?,
                    &m.evaluations.cast_signed(),
                ],
            )
        }
        Finding::Path(p) => {
            let pass = &p.pass;
            put_cell(pen, pass.cell, 1, pass.kind.name(), pass.height, &pass.theta, pass.evidence.as_ref())?;
            pen.put(
                &PATHS,
                &[
                    &p.id.cast_signed(),
                    &p.ends.0.cast_signed(),
                    &p.ends.1.cast_signed(),
                    &word(&p.state)?,
                    &p.visits,
                    &pass.cell.cast_signed(),
                    &Exact(pass.error),
                    &Exact(pass.arc),
                    &pass.reason,
                    &bytes(&p.knots),
                    &bytes(&p.profile.arc),
                    &bytes(&p.profile.loss),
                    &bytes(&p.profile.slope),
                ],
            )
        }
        Finding::Critical(c) => {
            let kind = CellKind::CriticalPoint.name();
            put_cell(pen, c.cell, c.index as u32, kind, c.loss, &c.theta, Some(&c.evidence))
        }
        Finding::Evaluations(stage, tally) => pen.put(
            &EVALUATIONS,
            &[
                &stage.name(),
                &tally.loss.cast_signed(),
                &tally.gradient.cast_signed(),
                &tally.hessian_product.cast_signed(),
            ],
        ),
        Finding::Values(first, values) => pen.put(&VALUES, &[&first.cast_signed(), &bytes(values)]),
        Finding::Noise(noise) => pen.put(&META, &[&NOISE, &noise.to_string()]),
        Finding::Pair(pair) => pen.put(&META, &[&pair_key(pair), &json(pair)?]),
    }
}

fn put_cell(
    pen: &mut Pen<'_>,
    id: u64,
    degree: u32,
    kind: &str,
    value: f64,
    theta: &[f64],
    evidence: Option<&Evidence>,
) -> rusqlite::Result<()> {
    let evidence = evidence.map(|e| json(&ExactEvidence::from(e))).transpose()?;
    pen.put(&CELLS, &[&id.cast_signed(), &degree, &kind, &Exact(value), &bytes(theta), &evidence])
}

/// What [`minimum`] reads.
pub const A_MINIMUM: &str = "SELECT cell, origin, descent, same_as, metrics, evaluations, value, theta, evidence \
                             FROM minima LEFT JOIN cells ON cell = id";
/// What [`critical`] reads.
pub const A_CRITICAL: &str = "SELECT id, degree, value, theta, evidence FROM cells";
/// What [`curve`] reads.
pub const A_PATH: &str = "SELECT paths.id, end_a, end_b, state, visits, knots, arc, loss, slope, pass, kind, value, \
                          pass_error, pass_arc, theta, evidence, pass_reason \
                          FROM paths LEFT JOIN cells ON pass = cells.id";
/// What [`tally`] reads.
pub const A_TALLY: &str = "SELECT stage, loss, gradient, hessian_product FROM evaluations";
/// What [`block`] reads.
pub const A_BLOCK: &str = "SELECT first, value FROM sample_values";

/// What a stage spent.
pub fn tally(row: &Row<'_>) -> rusqlite::Result<(Stage, Tally)> {
    let (loss, gradient, hessian_product) = (number(row, 1)?, number(row, 2)?, number(row, 3)?);
    Ok((parse_word(row, 0)?, Tally { loss, gradient, hessian_product }))
}

/// Values of a sampled loss, and where they begin.
pub fn block(row: &Row<'_>) -> rusqlite::Result<(u64, Vec<f64>)> {
    Ok((number(row, 0)?, floats(row, 1)?))
}

/// A minimum.
pub fn minimum(row: &Row<'_>) -> rusqlite::Result<Minimum> {
    Ok(Minimum {
        cell: number(row, 0)?,
        origin: parse(row, 1)?,
        descent: parse_word(row, 2)?,
        same_as: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
        metrics: parse::<Vec<(Metric, Exact)>>(row, 4)?.into_iter().map(|(metric, x)| (metric, x.0)).collect(),
        evaluations: number(row, 5)?,
        loss: float(row, 6)?,
        theta: floats(row, 7)?,
        evidence: parse::<ExactEvidence>(row, 8)?.into(),
    })
}

/// A critical point of index 2 or above.
pub fn critical(row: &Row<'_>) -> rusqlite::Result<Critical> {
    Ok(Critical {
        cell: number(row, 0)?,
        index: row.get::<_, u32>(1)? as usize,
        loss: float(row, 2)?,
        theta: floats(row, 3)?,
        evidence: parse::<ExactEvidence>(row, 4)?.into(),
    })
}

/// A path with its pass.
pub fn curve(row: &Row<'_>) -> rusqlite::Result<Curve> {
    Ok(Curve {
        id: number(row, 0)?,
        ends: (number(row, 1)?, number(row, 2)?),
        state: parse_word(row, 3)?,
        visits: row.get(4)?,
        knots: floats(row, 5)?,
        profile: Profile { arc: floats(row, 6)?, loss: floats(row, 7)?, slope: floats(row, 8)? },
        pass: Pass {
            cell: number(row, 9)?,
            kind: parse_word(row, 10)?,
            height: float(row, 11)?,
            error: float(row, 12)?,
            arc: float(row, 13)?,
            theta: floats(row, 14)?,
            evidence: match row.get_ref(15)? {
                rusqlite::types::ValueRef::Null => None,
                _ => Some(parse::<ExactEvidence>(row, 15)?.into()),
            },
            reason: row.get(16)?,
        },
    })
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

fn float(row: &Row<'_>, column: usize) -> rusqlite::Result<f64> {
    row.get::<_, Exact>(column).map(|x| x.0)
}

fn floats(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<f64>> {
    row.get::<_, Floats>(column).map(|x| x.0)
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

/// The name of an enum value without data, as serde writes it.
fn word(value: &impl Serialize) -> rusqlite::Result<String> {
    json(value).map(|quoted| quoted.trim_matches('"').to_owned())
}

fn parse<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|e| unreadable(column, e))
}

fn parse_word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let word: String = row.get(column)?;
    serde_json::from_value(word.into()).map_err(|e| unreadable(column, e))
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}
