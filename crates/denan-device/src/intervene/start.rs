//! `reinitialize`: other values for parameters, where they are made.

use super::Facts;
use crate::element;
use denan_record::plan::{Initializer, NewValues};
use real_flex::FlexTensor;

/// What to put in the place of a parameter that has just been made.
pub fn replaced(parameters: &[NewValues], made: &FlexTensor, facts: &Facts<'_>) -> Option<FlexTensor> {
    let new = parameters.iter().find(|new| new.parameter.birth == Some(facts.birth))?;
    let shape: Vec<u64> = made.layout().shape().as_slice().iter().map(|&size| size as u64).collect();
    // Another tensor than the one on the record: the program took another way.
    if shape != new.shape || !element::is_float(made) {
        return None;
    }
    let draw = std::cell::RefCell::new(Draw::new(facts.birth.operation));
    Some(element::mapped(made, |old| {
        let value = draw.borrow_mut().of(new.initializer);
        if new.only_non_finite && old.is_finite() { old } else { value }
    }))
}

/// Draws numbers, always the same ones for the same seed (SplitMix64, Steele et al. 2014).
struct Draw {
    state: u64,
}

impl Draw {
    fn new(seed: u64) -> Self {
        Self { state: seed ^ 0x6465_6e61_6e00_0001 }
    }

    /// Of [0, 1).
    fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn of(&mut self, initializer: Initializer) -> f64 {
        match initializer {
            Initializer::Constant { value } => value,
            Initializer::Uniform { low, high } => low + (high - low) * self.unit(),
            Initializer::Normal { mean, std } => {
                // Box and Muller 1958.
                let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
                mean + std * radius * (std::f64::consts::TAU * self.unit()).cos()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_spread_they_are_asked_for() {
        let draws = |initializer| {
            let mut draw = Draw::new(7);
            let numbers: Vec<f64> = (0..20_000).map(|_| draw.of(initializer)).collect();
            denan_numerics::summarize(&numbers)
        };
        let normal = draws(Initializer::kaiming_normal(8.0));
        assert!((normal.std() - 0.5).abs() < 0.01 && normal.mean.abs() < 0.01, "{normal:?}");
        let uniform = draws(Initializer::xavier_uniform(3.0, 3.0));
        assert!(uniform.min >= -1.0 && uniform.max < 1.0);
        assert!((uniform.std() - 1.0 / 3f64.sqrt()).abs() < 0.01, "{uniform:?}");
    }
}
