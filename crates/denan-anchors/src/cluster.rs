//! Anchors of a data set: seeds, restarts, and the best of them made better.

use crate::climb::climb;
use crate::draw::Draw;
use crate::iou::{best_iou, iou};
use crate::rounds::{Assignment, Update, orders, update};
use crate::sizes::Sizes;

/// Different sizes from which on restarts are made on fewer that stand for them.
const MANY: usize = 20_000;
/// Cells per doubling of a side of the grid of these: 4.4 % each, …
const COARSE: f64 = 16.0;
/// … and of the grid on which the best restart goes on: 2.2 % each.
const FINE: f64 = 32.0;
/// Rounds after which a restart ends even if the mean IoU still rises.
const MOST_ROUNDS: usize = 300;
/// A restart ends when the mean IoU has risen by less than this …
const LEAST_RISE: f64 = 1e-6;
/// … in so many rounds.
const PATIENCE: usize = 4;
/// Steps uphill, as shares of a side.
const STEPS: [f64; 7] = [0.08, 0.04, 0.02, 0.01, 0.005, 0.002, 0.001];
/// Restarts that go uphill, the best ones.
const CLIMBERS: u32 = 16;
/// The same where there are many sizes.
const FEW_CLIMBERS: u32 = 2;
/// How often an anchor is put elsewhere, for each anchor there is.
const EXCHANGES: usize = 5;
/// Those on the coarse grid, which has nothing finer to tell.
const COARSE_STEPS: [f64; 3] = [0.08, 0.04, 0.02];
/// Those after an anchor was put elsewhere.
const QUICK_STEPS: [f64; 2] = [0.02, 0.005];
/// Those on the finer grid, after the others on the coarse one.
const LAST_STEPS: [f64; 3] = [0.02, 0.01, 0.003];

/// How anchors are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How many anchors.
    pub count: usize,
    /// Runs from other seeds, of which the best is kept; at least 1.
    pub restarts: u32,
    /// For whatever is left to chance. The same seed gives the same anchors, for any number of threads.
    pub seed: u64,
    /// What an anchor becomes of its boxes in each round.
    pub update: Update,
    /// How many threads may work.
    pub threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { count: 9, restarts: 10, seed: 0, update: Update::default(), threads: 1 }
    }
}

/// Anchors, and how they were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clustering {
    /// Widths and heights, sorted by area. Fewer than asked for only if there are fewer sizes.
    pub anchors: Vec<[f64; 2]>,
    /// The mean IoU of each restart, before the best one was made better.
    pub restarts: Vec<f64>,
}

/// Anchors for boxes of these sizes.
///
/// Seeds are those of k-means++ (Arthur and Vassilvitskii 2007). Each restart goes on until no box changes its anchor, or
/// the mean IoU no longer rises; the best ones go uphill in mean IoU from there, one side at a time, and of the highest one anchor after
/// the other is tried elsewhere. Restarts on more than 20,000 different sizes are made on a logarithmic grid of them (4.4 %), and
/// the best one goes on on a finer one (2.2 %).
pub fn cluster(sizes: &Sizes, settings: &Settings) -> Clustering {
    let count = settings.count.min(sizes.len());
    if count == 0 {
        return Clustering::default();
    }
    let fine = (sizes.len() > MANY).then(|| sizes.coarser(FINE));
    let coarse = fine.as_ref().map(|fine| fine.coarser(COARSE)).filter(|coarse| coarse.len() >= count);
    let own = coarse.as_ref().unwrap_or(sizes);
    let own_orders = orders(own);
    let restart = |number: u32| {
        let mut draw = Draw::of(settings.seed.wrapping_add(u64::from(number)));
        let mut anchors = seeds(own, count, &mut draw);
        let quality = rounds(own, &own_orders, settings.update, &mut anchors);
        (quality, anchors)
    };
    let mut found = each(settings.restarts.max(1), settings.threads, restart);
    let restarts: Vec<f64> = found.iter().map(|(quality, _)| *quality).collect();
    // Of equally good ones the first. The best one is not always that from which the way leads up highest.
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    // What is asked for as a median or a mean stays one.
    let may_climb = settings.update == Update::IouMedian;
    let (climbers, steps) = match coarse {
        Some(_) => (FEW_CLIMBERS, &COARSE_STEPS[..]),
        None => (CLIMBERS, &STEPS[..]),
    };
    let climbers = if may_climb { climbers.min(found.len() as u32) } else { 0 };
    let climbed = each(climbers, settings.threads, |number| {
        let mut anchors = found[number as usize].1.clone();
        climb(own, steps, &mut anchors);
        (Assignment::of(own, &anchors).mean_iou(own), anchors)
    });
    let best = climbed.into_iter().reduce(|best, other| if other.0 > best.0 { other } else { best });
    let mut anchors = best.unwrap_or_else(|| found.swap_remove(0)).1;
    if may_climb && coarse.is_none() {
        exchange(own, &own_orders, settings, &mut anchors);
    }
    if let (Some(fine), Some(_)) = (&fine, &coarse) {
        rounds(fine, &orders(fine), settings.update, &mut anchors);
        if may_climb {
            climb(fine, &LAST_STEPS, &mut anchors);
        }
    }
    anchors.sort_by(|a, b| (a[0] * a[1]).total_cmp(&(b[0] * b[1])).then(a[0].total_cmp(&b[0])));
    Clustering { anchors, restarts }
}

/// What comes of each number below `count`, in their order, worked out by several threads.
fn each<T: Send>(count: u32, threads: usize, work: impl Fn(u32) -> T + Sync) -> Vec<T> {
    let threads = (threads.max(1) as u32).min(count);
    if threads <= 1 {
        return (0..count).map(work).collect();
    }
    let work = &work;
    let own = |first: u32| (first..count).step_by(threads as usize).map(move |at| (at, work(at)));
    let mut all: Vec<(u32, T)> = std::thread::scope(|scope| {
        let start = |first| scope.spawn(move || own(first).collect::<Vec<_>>());
        let running: Vec<_> = (0..threads).map(start).collect();
        let ended = running.into_iter().flat_map(|thread| match thread.join() {
            Ok(found) => found,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.collect()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, found)| found).collect()
}

/// Rounds until no box changes its anchor or the mean IoU no longer rises; it, and the anchors that had the highest one.
fn rounds(sizes: &Sizes, orders: &[Vec<u32>; 2], how: Update, anchors: &mut Vec<[f64; 2]>) -> f64 {
    let mut own = Assignment::of(sizes, anchors);
    let mut best = (own.mean_iou(sizes), anchors.clone());
    let mut before = own.anchor.clone();
    let (mut level, mut rounds_on_it) = (best.0, 0);
    for _ in 0..MOST_ROUNDS {
        update(sizes, orders, &own, how, anchors);
        own.assign(sizes, anchors);
        let quality = own.mean_iou(sizes);
        if quality > best.0 {
            best = (quality, anchors.clone());
        }
        if quality > level + LEAST_RISE {
            (level, rounds_on_it) = (quality, 0);
        } else {
            rounds_on_it += 1;
        }
        if own.anchor == before || rounds_on_it >= PATIENCE {
            break;
        }
        before.copy_from_slice(&own.anchor);
    }
    *anchors = best.1;
    best.0
}

/// Puts one anchor at a time elsewhere, and keeps that if the others make more of it: what no small step leads to.
fn exchange(sizes: &Sizes, orders: &[Vec<u32>; 2], settings: &Settings, anchors: &mut Vec<[f64; 2]>) {
    let mut draw = Draw::of(!settings.seed);
    let mut best = Assignment::of(sizes, anchors).mean_iou(sizes);
    for _ in 0..EXCHANGES * anchors.len() {
        let mut tried = anchors.clone();
        tried.swap_remove(((draw.unit() * anchors.len() as f64) as usize).min(anchors.len() - 1));
        grow(sizes, anchors.len(), &mut draw, &mut tried);
        rounds(sizes, orders, settings.update, &mut tried);
        climb(sizes, &QUICK_STEPS, &mut tried);
        let quality = Assignment::of(sizes, &tried).mean_iou(sizes);
        if quality > best {
            (best, *anchors) = (quality, tried);
        }
    }
    climb(sizes, &STEPS, anchors);
}

/// The first anchors.
fn seeds(sizes: &Sizes, count: usize, draw: &mut Draw) -> Vec<[f64; 2]> {
    let mut anchors = Vec::with_capacity(count);
    grow(sizes, count, draw, &mut anchors);
    anchors
}

/// More anchors, up to `count`: boxes that lie far from those that are there are more likely to be chosen.
fn grow(sizes: &Sizes, count: usize, draw: &mut Draw, anchors: &mut Vec<[f64; 2]>) {
    let mut distances: Vec<f64> = (0..sizes.len()).map(|at| 1.0 - best_iou(sizes.get(at), anchors)).collect();
    while anchors.len() < count {
        let chance = |at: usize| sizes.weights[at] * distances[at] * distances[at];
        let total: f64 = (0..sizes.len()).map(chance).sum();
        let mut left = draw.unit() * total;
        let chosen = (0..sizes.len()).find(|&at| {
            left -= chance(at);
            left < 0.0
        });
        // Rounding may leave a little; the last one that has a chance at all takes it.
        let chosen = chosen.or_else(|| (0..sizes.len()).rfind(|&at| chance(at) > 0.0));
        let Some(chosen) = chosen else { break };
        let anchor = sizes.get(chosen);
        for (at, distance) in distances.iter_mut().enumerate() {
            *distance = distance.min(1.0 - iou(sizes.get(at), anchor));
        }
        distances[chosen] = 0.0;
        anchors.push(anchor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Vec<[f64; 2]> {
        let mut boxes = Vec::new();
        for centre in [[8.0, 8.0], [60.0, 20.0], [300.0, 280.0]] {
            for step in 0..20 {
                let stretch = 0.9 + f64::from(step) * 0.01;
                boxes.push([centre[0] * stretch, centre[1] / stretch]);
            }
        }
        boxes
    }

    #[test]
    fn clusters_are_found_whatever_their_scale() {
        let sizes = Sizes::of(&groups());
        for update in [Update::IouMedian, Update::Median, Update::Mean] {
            for seed in 0..5 {
                let settings = Settings { count: 3, seed, update, ..Settings::default() };
                let found = cluster(&sizes, &settings);
                let mean_iou = Assignment::of(&sizes, &found.anchors).mean_iou(&sizes);
                assert!(mean_iou > 0.9, "{update:?}, seed {seed}: {found:?}");
                assert_eq!(found, cluster(&sizes, &settings), "seeded");
                assert_eq!(found.restarts.len(), 10);
            }
        }
    }

    #[test]
    fn neither_the_order_of_the_boxes_nor_the_number_of_threads_matters() {
        let mut draw = Draw::of(7);
        let mut boxes: Vec<[f64; 2]> =
            (0..80_000).map(|_| [(draw.unit() * 5.0).exp(), (draw.unit() * 5.0).exp()]).collect();
        let settings = Settings { count: 5, restarts: 2, ..Settings::default() };
        let found = cluster(&Sizes::of(&boxes), &settings);
        boxes.reverse();
        for threads in [1, 2, 5] {
            assert_eq!(cluster(&Sizes::of(&boxes), &Settings { threads, ..settings }), found);
        }
    }

    #[test]
    fn there_are_fewer_anchors_only_if_there_are_fewer_sizes() {
        let of = |boxes: &[[f64; 2]], count| {
            cluster(&Sizes::of(boxes), &Settings { count, ..Settings::default() }).anchors
        };
        assert_eq!(of(&[], 3), Vec::<[f64; 2]>::new());
        assert_eq!(of(&[[1.0, 2.0]], 3).len(), 1);
        assert_eq!(of(&[[1.0, 2.0]; 5], 2).len(), 1);
        assert_eq!(of(&groups(), 9).len(), 9);
        assert_eq!(of(&groups(), 60).len(), 60);
    }

    #[test]
    fn no_anchor_is_left_without_boxes() {
        let boxes: Vec<[f64; 2]> =
            (0..300).map(|at| [f64::from(at % 3) + 20.0, f64::from(at % 2) + 30.0]).collect();
        let sizes = Sizes::of(&boxes);
        for seed in 0..20 {
            let found = cluster(&sizes, &Settings { count: 6, seed, ..Settings::default() });
            let own = Assignment::of(&sizes, &found.anchors);
            for number in 0..6 {
                assert!(own.anchor.contains(&number), "seed {seed}: {:?}", found.anchors);
            }
        }
    }
}
