//! Values become buffers, which those that are never alive together share.

use super::draft::Draft;
use crate::graph::plan::Plan;
use crate::graph::step::Kernel;
use crate::graph::view::Place;
use mountainpass_network::graph::op::Element;

impl Draft<'_> {
    /// Gives every value a buffer; values that are never alive together may share one.
    pub(crate) fn shared_out(mut self, outputs: Vec<(usize, usize)>, number: u64) -> Plan {
        let mut last = vec![0; self.values.len()];
        for (s, step) in self.steps.iter().enumerate() {
            for view in &step.reads {
                if let Place::Value(value) = view.place {
                    last[value] = s;
                }
            }
            // What nobody reads lives for its own step.
            step.writes.iter().for_each(|(value, _)| last[*value] = s);
        }
        outputs.iter().for_each(|(value, _)| last[*value] = usize::MAX);
        let mut buffers: [Buffers; 2] = Default::default();
        let kind = |element: Element| usize::from(element == Element::Index);
        let mut buffer = vec![0; self.values.len()];
        for (s, step) in self.steps.iter_mut().enumerate() {
            let all = &mut buffers[kind(step.element)];
            // An array that is read for the last time makes room for one that is written.
            let mut shared = Vec::new();
            for (k, (value, len)) in step.writes.iter().enumerate() {
                let last_read = |read: &usize| match step.reads[*read].place {
                    Place::Value(value) => {
                        let alone = step.reads.iter().filter(|view| view.place == Place::Value(value)).count() == 1;
                        let fits = self.values[value].0 == *len && !shared.contains(&value);
                        alone && fits && last[value] == s
                    }
                    _ => false,
                };
                let read = match &step.kernel {
                    Kernel::Chain(chain) => (0..step.reads.len()).find(|i| chain.may_share(*i) && last_read(i)),
                    _ => None,
                };
                if let (Some(read), Kernel::Chain(chain)) = (read, &mut step.kernel)
                    && let Place::Value(from) = step.reads[read].place
                {
                    chain.share(read, k);
                    shared.push(from);
                    buffer[*value] = buffer[from];
                } else {
                    buffer[*value] = all.take(*len);
                }
            }
            let read = step.reads.iter().filter_map(|view| match view.place {
                Place::Value(value) => Some(value),
                _ => None,
            });
            let mut over: Vec<usize> = read.chain(step.writes.iter().map(|(value, _)| *value)).collect();
            over.sort_unstable();
            over.dedup();
            for value in over.into_iter().filter(|value| last[*value] == s && !shared.contains(value)) {
                buffers[kind(self.values[value].1)].free.push(buffer[value]);
            }
            for view in &mut step.reads {
                if let Place::Value(value) = &mut view.place {
                    *value = buffer[*value];
                }
            }
            step.writes.iter_mut().for_each(|(value, _)| *value = buffer[*value]);
        }
        let [reals, indices] = buffers.map(|all| all.sizes);
        let Draft { steps, constants, inputs, theta, direction, .. } = self;
        let outputs = outputs.into_iter().map(|(value, len)| (buffer[value], len)).collect();
        Plan { number, steps, reals, indices, constants, inputs, theta, direction, outputs }
    }
}

/// Buffers of one kind.
#[derive(Default)]
struct Buffers {
    sizes: Vec<usize>,
    free: Vec<usize>,
}

impl Buffers {
    /// The smallest free buffer that is large enough, else the largest made larger, else a new one.
    fn take(&mut self, len: usize) -> usize {
        let fits = |buffer: &usize| self.sizes[*buffer] >= len;
        let size = |(_, buffer): &(usize, &usize)| (self.sizes[**buffer], **buffer);
        let all = || self.free.iter().enumerate();
        let best = all().filter(|(_, buffer)| fits(buffer)).min_by_key(size).or_else(|| all().max_by_key(size));
        match best.map(|(i, _)| i) {
            Some(i) => {
                let buffer = self.free.swap_remove(i);
                self.sizes[buffer] = self.sizes[buffer].max(len);
                buffer
            }
            None => {
                self.sizes.push(len);
                self.sizes.len() - 1
            }
        }
    }
}
