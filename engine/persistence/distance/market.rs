//! The assignment problem behind the Wasserstein distance: two sides of bars, each bar to be matched with one of the
//! other side at cost(distance), or to stay alone at its own cost, that of reaching the diagonal.
//!
//! No copy of the diagonal is made: with a price y for every bar, linear programming's dual is to maximise the sum of
//! all y under y(a) + y(b) <= cost(a, b) and y(a) <= alone(a), the same on both sides. Any such prices bound the optimum
//! from below; a matching whose bars all meet their constraint with equality is optimal.

use super::ground::{Ground, Point};
use super::tree::KdTree;

/// What a distance on the ground costs: its power q, in a unit that keeps the powers near 1.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub ground: Ground,
    pub q: f64,
    pub unit: f64,
}

impl Cost {
    /// The cost of a distance.
    pub fn of(self, distance: f64) -> f64 {
        let x = distance / self.unit;
        match self.q {
            1.0 => x,
            2.0 => x * x,
            3.0 => x * x * x,
            q => x.powf(q),
        }
    }

    /// The cost of a pair.
    pub fn between(self, a: Point, b: Point) -> f64 {
        self.of(self.ground.between(a, b))
    }

    /// The distance of a cost.
    pub fn root(self, cost: f64) -> f64 {
        match self.q {
            1.0 => cost * self.unit,
            2.0 => cost.sqrt() * self.unit,
            q => cost.powf(q.recip()) * self.unit,
        }
    }
}

/// One side of the market.
#[derive(Clone)]
pub struct Side {
    pub points: Vec<Point>,
    /// What each costs alone.
    pub alone: Vec<f64>,
    /// The dual variables y.
    pub price: Vec<f64>,
    pub mate: Vec<Option<u32>>,
    /// Weighed by -y, once [`show`](Side::show)n: the other side looks for partners here.
    pub tree: KdTree,
}

impl Side {
    fn new(points: &[Point], cost: Cost) -> Side {
        let alone: Vec<f64> = points.iter().map(|&p| cost.of(cost.ground.alone(p))).collect();
        let (price, mate, tree) = (alone.clone(), vec![None; points.len()], KdTree::new(points, cost.ground));
        Side { points: points.to_vec(), alone, price, mate, tree }
    }

    /// Changes a price, for the other side to see.
    pub fn set(&mut self, i: usize, price: f64) {
        self.price[i] = price;
        self.tree.set(i, -price);
    }

    /// Lets the other side see all prices.
    pub fn show(&mut self) {
        let price = &self.price;
        self.tree.set_all(|i| -price[i]);
    }

    /// No bar costs more than this alone.
    fn cap(&mut self, most: f64) {
        self.alone.iter_mut().for_each(|alone| *alone = alone.min(most));
        self.price.iter_mut().zip(&self.alone).for_each(|(price, &alone)| *price = price.min(alone));
    }

    /// The bars without a partner.
    pub fn single(&self) -> impl Iterator<Item = usize> {
        (0..self.mate.len()).filter(|&i| self.mate[i].is_none())
    }
}

/// Two sides and a matching.
#[derive(Clone)]
pub struct Market {
    pub cost: Cost,
    pub sides: [Side; 2],
}

impl Market {
    /// Everybody alone, at the price of being so.
    pub fn new(a: &[Point], b: &[Point], cost: Cost) -> Market {
        Market { cost, sides: [Side::new(a, cost), Side::new(b, cost)] }
    }

    /// Tells that the optimum costs no more than `most`, so nobody costs more alone. (A cost that is cut off was in no
    /// optimum and is in none now; numbers that are large against the optimum would only spoil its digits.)
    pub fn cap(&mut self, most: f64) {
        self.sides.iter_mut().for_each(|side| side.cap(2.0 * most));
    }

    /// What the matching costs, summed in the order of the bars.
    pub fn total(&self) -> f64 {
        let [a, b] = &self.sides;
        let pay = |i: usize| match a.mate[i] {
            Some(j) => self.cost.between(a.points[i], b.points[j as usize]),
            None => a.alone[i],
        };
        (0..a.points.len()).map(pay).chain(b.single().map(|j| b.alone[j])).sum()
    }

    /// A bound of the optimum from below: the sum of prices, after those of side 0 are set to the highest that those of
    /// side 1 allow. n queries.
    pub fn bound(&mut self) -> f64 {
        let [a, b] = &mut self.sides;
        b.price.iter_mut().zip(&b.alone).for_each(|(price, &alone)| *price = price.min(alone));
        b.show();
        for i in 0..a.points.len() {
            a.price[i] = b.tree.best(a.points[i], |d| self.cost.of(d), a.alone[i]).value;
        }
        a.price.iter().chain(&b.price).sum()
    }

    /// The partners of side 0.
    pub fn into_partners(self) -> Vec<Option<u32>> {
        let [a, _] = self.sides;
        a.mate
    }

    /// The two sides, one of them looking for partners on the other.
    pub fn facing(&mut self, from: usize) -> (&mut Side, &mut Side) {
        let [a, b] = &mut self.sides;
        if from == 0 { (a, b) } else { (b, a) }
    }
}
