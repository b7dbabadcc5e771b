//! The largest, along axes or of windows, handing on whatever is not a number.

use super::nodes::int;
use super::operators::Writer;
use crate::graph::Id;
use crate::graph::op::Window;
use mountainpass_sdk::Error;

impl Writer<'_> {
    /// The largest along some axes. ONNX Runtime's own looks past what is not a number.
    pub(super) fn largest(&mut self, x: Id, axes: &[usize]) -> Result<String, Error> {
        let x = self.value(x)?;
        let axes = self.nodes.wholes(axes.iter().map(|axis| *axis as i64).collect());
        let (none, zero) = (self.nodes.number(f64::NAN), self.nodes.number(0.0));
        let to = i64::from(self.precision.data_type());
        let mut reduced = |x: String| self.nodes.push("ReduceMax", vec![x, axes.clone()], vec![int("keepdims", 1)]);
        let top = reduced(x.clone());
        let strange = self.nodes.push("IsNaN", vec![x], Vec::new());
        let strange = self.nodes.push("Cast", vec![strange], vec![int("to", to)]);
        let any = self.nodes.push("ReduceMax", vec![strange, axes], vec![int("keepdims", 1)]);
        let is_strange = self.nodes.push("Greater", vec![any, zero], Vec::new());
        Ok(self.nodes.push("Where", vec![is_strange, none, top], Vec::new()))
    }

    /// What the taps of a window see, and the largest of it: by `Max`, which hands on what is not a number, as `MaxPool` does
    /// not, and needs no transpositions.
    fn tops(&mut self, x: Id, window: &Window, places: [usize; 2]) -> Result<(Vec<String>, String), Error> {
        let taps = self.taps(x, window, places, Some(f64::NEG_INFINITY))?;
        let top = if taps.len() == 1 { taps[0].clone() } else { self.nodes.once("Max", taps.clone(), Vec::new()) };
        Ok((taps, top))
    }

    pub(super) fn picked(&mut self, args: &[Id], window: &Window, places: &[usize]) -> Result<String, Error> {
        let places = [places[0], places[1]];
        let (taps, top) = self.tops(args[0], window, places)?;
        if args[0] == args[1] {
            return Ok(top);
        }
        let others = self.taps(args[1], window, places, Some(f64::NEG_INFINITY))?;
        let mut all = others.into_iter().zip(taps).rev();
        let mut picked = all.next().map(|(other, _)| other).unwrap_or_default();
        for (other, tap) in all {
            let is_top = self.nodes.once("Equal", vec![tap, top.clone()], Vec::new());
            picked = self.nodes.push("Where", vec![is_top, other, picked], Vec::new());
        }
        Ok(picked)
    }

    /// Its adjoint: the first of the largest takes what there is, and leaves zeros to the others.
    pub(super) fn picked_placed(&mut self, args: &[Id], window: &Window, x: &[usize]) -> Result<String, Error> {
        let y = self.pair.small.shape(args[1]).to_vec();
        let (taps, top) = self.tops(args[0], window, [y[1], y[2]])?;
        let (zero, mut left) = (self.nodes.number(0.0), self.straight(args[1])?);
        let mut placed = Vec::with_capacity(taps.len());
        for tap in &taps[..taps.len() - 1] {
            let is_top = self.nodes.once("Equal", vec![tap.clone(), top.clone()], Vec::new());
            placed.push(self.nodes.push("Where", vec![is_top.clone(), left.clone(), zero.clone()], Vec::new()));
            left = self.nodes.push("Where", vec![is_top, zero.clone(), left], Vec::new());
        }
        placed.push(left);
        let tiles = window.kernel == window.strides && window.dilations == [1; 2];
        Ok(if tiles { self.tiled(placed, &y, window, x) } else { self.untapped(placed, &y, window, x) })
    }

    /// The sum of what every tap gives back, of windows that lie side by side: nothing is added, all is put together.
    fn tiled(&mut self, taps: Vec<String>, y: &[usize], window: &Window, x: &[usize]) -> String {
        let [n, height, width, c] = [y[0], y[1], y[2], y[3]];
        let [rows, columns] = window.kernel;
        let mut joined = |all: Vec<String>, shape: &[usize], axis: i64| {
            let all: Vec<String> = all.into_iter().map(|one| self.reshape(one, shape)).collect();
            if all.len() == 1 { all.concat() } else { self.nodes.push("Concat", all, vec![int("axis", axis)]) }
        };
        let lines = taps.chunks(columns).map(|row| joined(row.to_vec(), &[n, height, width, 1, c], 3)).collect();
        let all = joined(lines, &[n, height, 1, width * columns, c], 2);
        let whole = [n, height * rows, width * columns, c];
        let all = self.reshape(all, &whole);
        let behind = [0, 1].map(|k| (window.begin[k] + x[k + 1]).saturating_sub(whole[k + 1]));
        let all = self.pad(all, &[0; 4], &[0, behind[0], behind[1], 0]);
        if (0..2).all(|k| window.begin[k] == 0 && whole[k + 1] + behind[k] == x[k + 1]) {
            return all;
        }
        let along = [0, 1].map(|k| [window.begin[k] as i64, (window.begin[k] + x[k + 1]) as i64, 1]);
        self.part(all, 1, &along)
    }
}
