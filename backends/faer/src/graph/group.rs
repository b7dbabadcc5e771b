//! Which element-wise operators are computed together, and in which order everything is.
//!
//! From the last operator to the first each joins one of its users, unless another user would then have to come both
//! before and after the chain. What a backward pass needs of a forward pass is so left to the forward pass, and what only
//! the backward pass needs is computed there.

use super::plan::Local;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Nodes that one step computes, in order.
pub(super) type Unit = Vec<usize>;

/// Instructions in a chain.
const LONGEST: usize = 64;
/// Nodes looked at before a chain is given up: keeps unrolled recurrences linear.
const LOOKED_AT: usize = 4096;

struct Units<'a> {
    nodes: &'a [Local],
    users: Vec<Vec<usize>>,
    unit: Vec<usize>,
    members: Vec<Unit>,
    /// Marks of the last search.
    seen: Vec<usize>,
    search: usize,
}

/// The units of all needed nodes, arguments before users.
pub(super) fn units(nodes: &[Local]) -> Vec<Unit> {
    let n = nodes.len();
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); n];
    for (i, node) in nodes.iter().enumerate().filter(|(_, node)| node.needed) {
        for arg in &node.args {
            if users[*arg].last() != Some(&i) {
                users[*arg].push(i);
            }
        }
    }
    let members = (0..n).map(|i| vec![i]).collect();
    let mut units = Units { nodes, users, unit: (0..n).collect(), members, seen: vec![0; n], search: 0 };
    for i in (0..n).rev().filter(|i| nodes[*i].needed && nodes[*i].is_each()) {
        units.join(i);
    }
    units.ordered()
}

impl Units<'_> {
    /// Lets a node join the first of its users that it can.
    fn join(&mut self, i: usize) {
        for u in 0..self.users[i].len() {
            let user = self.users[i][u];
            let unit = self.unit[user];
            let node = &self.nodes[user];
            if node.is_each()
                && node.shape == self.nodes[i].shape
                && self.members[unit].len() < LONGEST
                && !self.others_lead_to(i, unit)
            {
                self.unit[i] = unit;
                self.members[unit].push(i);
                self.members[i].clear();
                return;
            }
        }
    }

    /// Whether a user of the node outside of the unit comes before the unit.
    fn others_lead_to(&mut self, i: usize, target: usize) -> bool {
        self.search += 1;
        let mut stack: Vec<usize> =
            self.users[i].iter().map(|user| self.unit[*user]).filter(|unit| *unit != target).collect();
        let last = self.members[target].iter().copied().max().unwrap_or(0);
        let mut looked_at = 0;
        while let Some(unit) = stack.pop() {
            if unit == target {
                return true;
            }
            if self.seen[unit] == self.search {
                continue;
            }
            self.seen[unit] = self.search;
            looked_at += 1;
            if looked_at > LOOKED_AT {
                return true;
            }
            for &member in &self.members[unit] {
                // Nothing behind the last of the target's nodes leads there, except through a chain's earlier nodes.
                let ahead = |user: &&usize| self.members[self.unit[**user]].iter().any(|node| *node <= last);
                stack.extend(self.users[member].iter().filter(ahead).map(|user| self.unit[*user]));
            }
        }
        false
    }

    /// Units in an order of computation, the one with the earliest last node first.
    fn ordered(mut self) -> Vec<Unit> {
        self.members.iter_mut().for_each(|unit| unit.sort_unstable());
        let needed = |unit: &Unit| unit.first().is_some_and(|i| self.nodes[*i].needed);
        let mut waits = vec![0usize; self.members.len()];
        for (u, unit) in self.members.iter().enumerate().filter(|(_, unit)| needed(unit)) {
            for arg in unit.iter().flat_map(|i| &self.nodes[*i].args) {
                waits[u] += usize::from(self.unit[*arg] != u);
            }
        }
        let key = |u: usize| Reverse((self.members[u].last().copied().unwrap_or(0), u));
        let ready = (0..waits.len()).filter(|u| waits[*u] == 0 && needed(&self.members[*u]));
        let mut ready: BinaryHeap<Reverse<(usize, usize)>> = ready.map(key).collect();
        let mut order = Vec::new();
        while let Some(Reverse((_, u))) = ready.pop() {
            order.push(self.members[u].clone());
            for &i in &self.members[u] {
                for &user in &self.users[i] {
                    let to = self.unit[user];
                    // A node that reads an array twice waits for it twice.
                    let times = self.nodes[user].args.iter().filter(|arg| **arg == i).count();
                    if to != u {
                        waits[to] -= times;
                        if waits[to] == 0 {
                            ready.push(key(to));
                        }
                    }
                }
            }
        }
        order
    }
}
