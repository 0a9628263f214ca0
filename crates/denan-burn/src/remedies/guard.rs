//! A step that is skipped, rolled back and slowed down when something is not finite.

use super::gradients::global_norm;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;

/// What a guard does, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Steps in a row that are only skipped; with the next one the guard goes back.
    pub skips: usize,
    /// Good steps after which the module is kept as the state to go back to.
    pub keep_every: usize,
    /// What the rate is multiplied by when the guard goes back.
    pub slow_down: f64,
    /// How often it goes back before it gives up.
    pub most_rollbacks: usize,
}

impl Default for Policy {
    /// Three skips, a state every 20 steps, half the rate, ten rollbacks.
    fn default() -> Self {
        Self { skips: 3, keep_every: 20, slow_down: 0.5, most_rollbacks: 10 }
    }
}

/// Something a guard did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// A step was not made, because loss or gradients were not finite.
    Skipped {
        /// 0-based number of the step, as the guard counts.
        step: usize,
    },
    /// The module is again what it was after an earlier step, and the rate is lower.
    RolledBack {
        /// 0-based number of the step.
        step: usize,
        /// The step after which the module was kept.
        to: usize,
        /// What rates are multiplied by from now on.
        factor: f64,
    },
    /// The guard has gone back too often. It skips bad steps from now on and does no more.
    GaveUp {
        /// 0-based number of the step.
        step: usize,
    },
}

/// Keeps a training alive: stands in the place of `optimizer.step`.
///
/// A step whose loss or gradients are not finite is skipped. After some in a row, or when the parameters
/// themselves are not finite, the module goes back to the last good state and the rate goes down. Every act is told by
/// [`acts`](Self::acts). The optimizer keeps its own state.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::{GradientsParams, SgdConfig};
/// use burn::tensor::{Device, Tensor};
/// use denan_burn::remedies::{Act, Guard, Policy};
///
/// let device = Device::default().autodiff();
/// device.seed(5);
/// let mut model = LinearConfig::new(1, 1).init(&device);
/// let mut optimizer = SgdConfig::new().init();
/// let mut guard = Guard::new(Policy::default());
/// for step in 0..10 {
///     // One batch is broken.
///     let x = if step == 4 { f32::NAN } else { 1.0 };
///     let loss = model.forward(Tensor::<2>::from_floats([[x]], &device)).square().mean();
///     let value = loss.clone().into_scalar::<f32>();
///     let gradients = GradientsParams::from_grads(loss.backward(), &model);
///     model = guard.step(&mut optimizer, 0.1, model, gradients, value);
/// }
/// assert_eq!(guard.acts(), [Act::Skipped { step: 4 }]);
/// assert!(model.weight.val().into_scalar::<f32>().is_finite());
/// ```
#[derive(Debug)]
pub struct Guard<M> {
    policy: Policy,
    kept: Option<(usize, M)>,
    step: usize,
    bad_in_a_row: usize,
    rollbacks: usize,
    factor: f64,
    acts: Vec<Act>,
}

impl<M: Module> Guard<M> {
    /// A guard that follows a policy.
    pub fn new(policy: Policy) -> Self {
        Self { policy, kept: None, step: 0, bad_in_a_row: 0, rollbacks: 0, factor: 1.0, acts: Vec::new() }
    }

    /// Makes the step, or does what the policy says.
    pub fn step(
        &mut self,
        optimizer: &mut ModuleOptimizer,
        rate: f64,
        module: M,
        gradients: GradientsParams,
        loss: f32,
    ) -> M {
        let step = self.step;
        self.step += 1;
        if !loss.is_finite() || !global_norm(&gradients, &module).is_finite() {
            self.bad_in_a_row += 1;
            // Parameters that are lost make every further step bad.
            if self.bad_in_a_row > self.policy.skips || !is_finite(&module) {
                return self.roll_back(step, module);
            }
            self.acts.push(Act::Skipped { step });
            return module;
        }
        self.bad_in_a_row = 0;
        let module = optimizer.step(rate * self.factor, module, gradients);
        if self.kept.as_ref().is_none_or(|(kept, _)| step >= kept + self.policy.keep_every)
            && is_finite(&module)
        {
            self.kept = Some((step, module.clone()));
        }
        module
    }

    /// All it has done so far.
    pub fn acts(&self) -> &[Act] {
        &self.acts
    }

    fn roll_back(&mut self, step: usize, module: M) -> M {
        let Some((to, kept)) = &self.kept else {
            self.acts.push(Act::Skipped { step });
            return module;
        };
        if self.rollbacks == self.policy.most_rollbacks {
            if !matches!(self.acts.last(), Some(Act::GaveUp { .. })) {
                self.acts.push(Act::GaveUp { step });
            }
            return module;
        }
        self.rollbacks += 1;
        self.bad_in_a_row = 0;
        self.factor *= self.policy.slow_down;
        self.acts.push(Act::RolledBack { step, to: *to, factor: self.factor });
        kept.clone()
    }
}

/// Whether all parameters of a module are finite.
fn is_finite<M: Module>(module: &M) -> bool {
    struct Finite(bool);
    impl ModuleVisitor for Finite {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            // 0 times what is not finite is NaN.
            let sum = (param.val().inner() * 0.0).sum().into_scalar::<f32>();
            self.0 &= sum == 0.0;
        }
    }
    let mut finite = Finite(true);
    module.visit(&mut finite);
    finite.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::SgdConfig;
    use burn::tensor::Device;

    fn train(guard: &mut Guard<Linear>, losses: impl Fn(usize) -> f32) -> Linear {
        let device = Device::default().autodiff();
        device.seed(5);
        let mut model = LinearConfig::new(1, 1).init(&device);
        let mut optimizer = SgdConfig::new().init();
        for step in 0..12 {
            let loss = model.forward(Tensor::<2>::ones([1, 1], &device)).square().mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = guard.step(&mut optimizer, 0.1, model, gradients, losses(step));
        }
        model
    }

    #[test]
    fn several_bad_steps_in_a_row_lead_back_to_the_last_good_state() {
        let mut guard = Guard::new(Policy { skips: 2, keep_every: 1, ..Policy::default() });
        train(&mut guard, |step| if (4..7).contains(&step) { f32::NAN } else { 1.0 });
        assert_eq!(
            guard.acts(),
            [
                Act::Skipped { step: 4 },
                Act::Skipped { step: 5 },
                Act::RolledBack { step: 6, to: 3, factor: 0.5 },
            ]
        );
    }

    #[test]
    fn a_guard_gives_up_in_the_end() {
        let mut guard = Guard::new(Policy { skips: 0, most_rollbacks: 2, ..Policy::default() });
        let model = train(&mut guard, |step| if step > 2 { f32::INFINITY } else { 1.0 });
        assert!(is_finite(&model));
        assert_eq!(guard.acts().len(), 3);
        assert_eq!(guard.acts()[2], Act::GaveUp { step: 5 });
    }
}
