//! A choice between two things that meet where it changes: a kink that was written by a condition, and no jump.

use super::op::{Binary, Op, Unary};
use super::{Graph, Id, Node};

/// b and, where `side` is above 0, `apart` times it.
pub struct Choice {
    pub side: Side,
    pub apart: f64,
    /// b and a factor of it, if it is not 0.
    pub below: Option<(Id, f64)>,
}

/// A line that has a node.
pub struct Side {
    pub of: Id,
    pub slope: f64,
    pub shift: f64,
}

impl Graph {
    /// Reads a node as a choice between two things that meet where it changes.
    pub(super) fn choice(&self, node: &Node, jumps: impl Fn(Id) -> bool) -> Option<Choice> {
        let (side, apart, below) = match (&node.op, &node.args[..]) {
            (Op::Select, &[condition, a, b]) => {
                (self.side(condition)?, self.line(a).minus(self.line(b))?, Some((b, 1.0)))
            }
            (Op::Binary(Binary::Mul), &[a, b]) => {
                let (condition, y) = if jumps(a) { (a, b) } else { (b, a) };
                match self.node(condition).op {
                    Op::Unary(Unary::Sign) => {
                        (self.line(self.node(condition).args[0]), self.line(y).times(2.0), Some((y, -1.0)))
                    }
                    _ => (self.side(condition)?, self.line(y), None),
                }
            }
            _ => return None,
        };
        let (of, slope) = (side.of?, apart.slope / side.slope);
        // Both vanish at one place, or the choice jumps.
        let gap = apart.shift - slope * side.shift;
        let meets = apart.of == side.of && gap.abs() <= 1e-12 * apart.shift.abs();
        meets.then_some(Choice { side: Side { of, slope: side.slope, shift: side.shift }, apart: slope, below })
    }

    /// What is above 0 where a condition holds, and below it elsewhere.
    fn side(&self, condition: Id) -> Option<Line> {
        let node = self.node(condition);
        let args = &node.args[..];
        let is_equal = |id: Id, of: Id| {
            let (equal, less) = (self.node(id), self.node(of));
            equal.op == Op::Binary(Binary::Equal) && less.args.iter().all(|arg| equal.args.contains(arg))
        };
        match node.op {
            Op::Unary(Unary::Step) => Some(self.line(args[0])),
            Op::Binary(Binary::Less) => self.line(args[1]).minus(self.line(args[0])),
            Op::Binary(Binary::Add) if is_equal(args[1], args[0]) => self.side(args[0]),
            Op::Binary(Binary::Add) if is_equal(args[0], args[1]) => self.side(args[1]),
            Op::Binary(Binary::Sub) if self.line(args[0]) == Line::number(1.0) => {
                self.side(args[1]).map(|line| line.times(-1.0))
            }
            _ => None,
        }
    }

    /// A node as a multiple of another one, and a number.
    fn line(&self, id: Id) -> Line {
        let node = self.node(id);
        let arg = |k: usize| self.line(node.args[k]);
        let own = Line { of: Some(id), slope: 1.0, shift: 0.0 };
        match node.op {
            Op::Fill(number, _) => Line::number(number.get()),
            Op::Unary(Unary::Neg) => arg(0).times(-1.0),
            Op::Binary(Binary::Add) => arg(0).minus(arg(1).times(-1.0)).unwrap_or(own),
            Op::Binary(Binary::Sub) => arg(0).minus(arg(1)).unwrap_or(own),
            Op::Binary(Binary::Mul) => match (arg(0), arg(1)) {
                (line, Line { of: None, shift, .. }) | (Line { of: None, shift, .. }, line) => line.times(shift),
                _ => own,
            },
            _ => own,
        }
    }
}

/// slope * node + shift.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    of: Option<Id>,
    slope: f64,
    shift: f64,
}

impl Line {
    fn number(shift: f64) -> Line {
        Line { of: None, slope: 0.0, shift }
    }

    fn times(self, factor: f64) -> Line {
        Line { of: self.of, slope: self.slope * factor, shift: self.shift * factor }
    }

    /// The difference, if it is a line.
    fn minus(self, other: Line) -> Option<Line> {
        if self.of.is_some() && other.of.is_some() && self.of != other.of {
            return None;
        }
        let (slope, shift) = (self.slope - other.slope, self.shift - other.shift);
        Some(Line { of: self.of.or(other.of).filter(|_| slope != 0.0), slope, shift })
    }
}
