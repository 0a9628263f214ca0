//! What becomes of gradients between `backward` and `step`.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{FloatDType, Tensor};

/// Scales all gradients of a module down together, so that their common Euclidean norm is `max_norm` at most
/// (Pascanu et al. 2013), which keeps the direction of the step.
///
/// burn's own clipping, `GradientClippingConfig::Norm`, bounds each tensor by itself. A norm that is not finite
/// leaves the gradients as they are: [`Guard`](super::Guard) skips such a step.
pub fn clip_global_norm<M: Module>(gradients: GradientsParams, module: &M, max_norm: f64) -> GradientsParams {
    let norm = global_norm(&gradients, module);
    if norm.is_finite() && norm > max_norm { scaled(gradients, module, max_norm / norm) } else { gradients }
}

/// The gradients of a loss that was multiplied by `factor` before the backward pass and divided by it after it.
///
/// In float16 gradients below 6e-8 vanish; with a factor of 1024 those down to 6e-11 survive (Micikevicius et al.
/// 2018, "Mixed precision training", section 3.2). The division takes place in the parameters' own type, so they
/// have to be of float32 for it to help.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use denan_burn::remedies::scaled_gradients;
///
/// let device = Device::default().autodiff();
/// let model = LinearConfig::new(2, 1).with_bias(false).init(&device);
/// let loss = model.forward(Tensor::<2>::from_floats([[1.0, 2.0]], &device)).mean();
/// let gradients = scaled_gradients(loss, 1024.0, &model);
/// let weight = gradients.get::<2>(model.weight.id).unwrap();
/// assert_eq!(weight.into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0]);
/// ```
pub fn scaled_gradients<const D: usize, M: Module>(
    loss: Tensor<D>,
    factor: f64,
    module: &M,
) -> GradientsParams {
    let gradients = GradientsParams::from_grads((loss * factor).backward(), module);
    scaled(gradients, module, 1.0 / factor)
}

/// The common Euclidean norm of a module's gradients; NaN or infinite if one of them is not finite.
pub(super) fn global_norm<M: Module>(gradients: &GradientsParams, module: &M) -> f64 {
    let mut visitor = Squares { gradients, sum: 0.0 };
    module.visit(&mut visitor);
    visitor.sum.sqrt()
}

fn scaled<M: Module>(mut gradients: GradientsParams, module: &M, factor: f64) -> GradientsParams {
    module.visit(&mut Scale { gradients: &mut gradients, factor });
    gradients
}

struct Squares<'g> {
    gradients: &'g GradientsParams,
    sum: f64,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            // In its own type a square may overflow: largest value and norm of what is left.
            let gradient = gradient.cast(FloatDType::F32);
            let largest = f64::from(gradient.clone().abs().max().into_scalar::<f32>());
            if largest == 0.0 {
                return;
            }
            let share = (gradient / largest).square().sum().into_scalar::<f32>();
            self.sum += largest * largest * f64::from(share);
        }
    }
}

struct Scale<'g> {
    gradients: &'g mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient * self.factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn model_and_gradients(size: f32) -> (Linear, GradientsParams) {
        let device = Device::default().autodiff();
        let model = LinearConfig::new(2, 1).init(&device);
        let inputs = Tensor::<2>::from_floats([[3.0 * size, 4.0 * size]], &device);
        let loss = model.forward(inputs).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        (model, gradients)
    }

    #[test]
    fn gradients_are_bounded_together_and_keep_their_direction() {
        let (model, gradients) = model_and_gradients(100.0);
        let clipped = clip_global_norm(gradients, &model, 1.0);
        assert!((global_norm(&clipped, &model) - 1.0).abs() < 1e-5);
        let weight = clipped.get::<2>(model.weight.id).unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert!((weight[1] / weight[0] - 4.0 / 3.0).abs() < 1e-5, "{weight:?}");
        let (model, gradients) = model_and_gradients(0.01);
        let before = global_norm(&gradients, &model);
        assert_eq!(global_norm(&clip_global_norm(gradients, &model, 2.0), &model), before, "small enough");
    }

    #[test]
    fn a_norm_beyond_float32_is_no_infinity() {
        let (model, gradients) = model_and_gradients(1e30);
        let norm = global_norm(&gradients, &model);
        assert!((norm / 5e30 - 1.0).abs() < 1e-5, "{norm}");
    }
}
