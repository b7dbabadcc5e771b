//! Which element-wise operators are computed together, which again, and in which order everything is.
//!
//! From the last operator to the first each joins one of its users, unless another user would then have to come both
//! before and after the chain. What a backward pass needs of a forward pass is so left to the forward pass, and what only
//! the backward pass needs is computed there. Sums over leading axes take part: they are added up while what they sum is at
//! hand. Then units that look at the same array become one where neither waits for the other. A cheap function of one
//! stored array and of small ones is not stored: whoever reads it computes it again, since reading is what costs.

use super::node::Local;
use crate::graph::kernels::chain::LONGEST;
use crate::graph::kernels::reduce::Reduction;
use mountainpass_network::graph::op::{Binary, Op, Unary};
use std::collections::BTreeMap;

/// Nodes that one step computes, in order.
pub(crate) type Unit = Vec<usize>;

/// Units between two that may still become one: keeps unrolled recurrences linear.
const FURTHEST: usize = 4096;
/// Instructions that are rather computed again than their result stored.
const AGAIN: usize = 8;
/// How many times smaller an array is that counts as small.
const SMALL: usize = 8;

/// Whether a node is a sum that a chain can take on its way.
pub(crate) fn is_sink(nodes: &[Local], i: usize) -> bool {
    sums(nodes, i).is_some()
}

/// The number of sums of such a node.
fn sums(nodes: &[Local], i: usize) -> Option<usize> {
    let Op::Sum(axes) = &nodes[i].op else { return None };
    let of = &nodes[nodes[i].args[0]];
    if of.is_each() { Reduction::of_rows(&of.shape, axes) } else { None }
}

/// The shape of the blocks of a unit with this member.
pub(crate) fn unit_shape(nodes: &[Local], i: usize) -> &[usize] {
    let of = if nodes[i].is_each() { i } else { nodes[i].args[0] };
    &nodes[of].shape
}

/// The nodes that every chain that reads them computes for itself.
pub(crate) fn recomputed(nodes: &[Local], users: &[Vec<usize>], wanted: &[bool]) -> Vec<bool> {
    // What each of these nodes is computed from: one large array, in so many instructions.
    let mut again: Vec<Option<(Option<usize>, usize)>> = vec![None; nodes.len()];
    for (i, node) in nodes.iter().enumerate().filter(|(i, node)| node.needed && is_cheap(node) && !wanted[*i]) {
        if !users[i].iter().all(|user| nodes[*user].is_each() || is_sink(nodes, *user)) {
            continue;
        }
        let (mut leaf, mut instructions) = (None, 1);
        let mut is_one = true;
        for &arg in &node.args {
            let (from, count) = again[arg].unwrap_or((large(nodes, arg), 0));
            is_one &= from.is_none() || leaf.is_none() || from == leaf;
            leaf = leaf.or(from);
            instructions += count;
        }
        if is_one && instructions <= AGAIN {
            again[i] = Some((leaf, instructions));
        }
    }
    again.iter().map(Option::is_some).collect()
}

fn is_cheap(node: &Local) -> bool {
    match node.op {
        Op::Unary(f) => matches!(f, Unary::Neg | Unary::Abs | Unary::Sign | Unary::Step | Unary::Relu),
        Op::Binary(f) => f != Binary::Div,
        _ => node.op == Op::Select,
    }
}

/// The node itself, unless it repeats a small array.
fn large(nodes: &[Local], i: usize) -> Option<usize> {
    let count = |i: usize| nodes[i].shape.iter().product::<usize>();
    let mut base = i;
    while let Op::Broadcast(_) | Op::Reshape(_) = nodes[base].op {
        base = nodes[base].args[0];
    }
    let is_small = matches!(nodes[base].op, Op::Fill(..)) || count(base) * SMALL <= count(i);
    (!is_small).then_some(i)
}

struct Units<'a> {
    nodes: &'a [Local],
    users: Vec<Vec<usize>>,
    unit: Vec<usize>,
    members: Vec<Unit>,
    /// The number of sums of a unit that has some.
    sums: Vec<Option<usize>>,
    /// Units in an order of computation, and the place of each there.
    order: Vec<usize>,
    place: Vec<usize>,
    /// Marks of the last search.
    seen: Vec<usize>,
    search: usize,
}

/// The units of all needed nodes, arguments before users.
pub(crate) fn units(nodes: &[Local]) -> Vec<Unit> {
    let n = nodes.len();
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (i, node) in nodes.iter().enumerate().filter(|(_, node)| node.needed) {
        for arg in &node.args {
            if users[*arg].last() != Some(&i) {
                users[*arg].push(i);
            }
        }
    }
    let mut units = Units {
        nodes,
        users,
        unit: (0..n).collect(),
        members: (0..n).map(|i| vec![i]).collect(),
        sums: (0..n).map(|i| sums(nodes, i)).collect(),
        order: (0..n).collect(),
        place: (0..n).collect(),
        seen: vec![0; n],
        search: 0,
    };
    for i in (0..n).rev().filter(|i| nodes[*i].needed && nodes[*i].is_each()) {
        units.join(i);
    }
    units.merge();
    let Units { order, mut members, .. } = units;
    let in_order = order.into_iter().map(|unit| std::mem::take(&mut members[unit]));
    let mut in_order: Vec<Unit> = in_order.filter(|unit| unit.first().is_some_and(|i| nodes[*i].needed)).collect();
    in_order.iter_mut().for_each(|unit| unit.sort_unstable());
    in_order
}

impl Units<'_> {
    fn is_chain(&self, i: usize) -> bool {
        self.nodes[i].is_each() || self.sums[i].is_some()
    }

    /// Lets a node join the first of its users that it can.
    fn join(&mut self, i: usize) {
        for u in 0..self.users[i].len() {
            if self.unite(self.unit[i], self.unit[self.users[i][u]]) {
                return;
            }
        }
    }

    /// Joins units that look at the same large array, or one at what the other computes.
    fn merge(&mut self) {
        let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, node) in self.nodes.iter().enumerate().filter(|(i, node)| node.needed && self.is_chain(*i)) {
            node.args.iter().filter_map(|arg| large(self.nodes, *arg)).for_each(|arg| {
                readers.entry(arg).or_insert_with(|| vec![arg]).push(i);
            });
        }
        for together in readers.values() {
            for (k, &i) in together.iter().enumerate() {
                for &j in &together[k + 1..] {
                    self.unite(self.unit[i], self.unit[j]);
                }
            }
        }
    }

    /// Makes one unit of two, if they match and no third unit would come both before and after it.
    fn unite(&mut self, a: usize, b: usize) -> bool {
        let (early, late) = if self.place[a] < self.place[b] { (a, b) } else { (b, a) };
        if early == late || !self.match_up(early, late) || !self.move_behind(early, late) {
            return false;
        }
        let members = std::mem::take(&mut self.members[early]);
        members.iter().for_each(|i| self.unit[*i] = late);
        self.members[late].extend(members);
        self.sums[late] = self.sums[late].or(self.sums[early]);
        true
    }

    /// Whether two units are chains of one shape.
    fn match_up(&self, a: usize, b: usize) -> bool {
        let (first, second) = (self.members[a][0], self.members[b][0]);
        self.is_chain(first)
            && self.is_chain(second)
            && unit_shape(self.nodes, first) == unit_shape(self.nodes, second)
            && self.members[a].len() + self.members[b].len() <= LONGEST
            && (self.sums[a].is_none() || self.sums[b].is_none() || self.sums[a] == self.sums[b])
    }

    /// Moves what waits for the early unit behind the late one, unless the late one waits for some of it.
    fn move_behind(&mut self, early: usize, late: usize) -> bool {
        let (start, end) = (self.place[early], self.place[late]);
        if end - start > FURTHEST {
            return false;
        }
        self.search += 1;
        let mut stack = vec![early];
        while let Some(unit) = stack.pop() {
            for user in self.members[unit].iter().flat_map(|i| &self.users[*i]).map(|user| self.unit[*user]) {
                if user == late && unit != early {
                    return false;
                }
                if self.place[user] < end && self.seen[user] != self.search {
                    self.seen[user] = self.search;
                    stack.push(user);
                }
            }
        }
        self.seen[early] = self.search;
        // Both parts stay in order: what waits comes last.
        let (search, seen) = (self.search, &self.seen);
        self.order[start..=end].sort_by_key(|unit| seen[*unit] == search);
        (start..=end).for_each(|place| self.place[self.order[place]] = place);
        true
    }
}
