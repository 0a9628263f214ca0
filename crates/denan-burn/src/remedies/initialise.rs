//! Weights anew, with one rule for each kind of layer.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{BatchNorm, Initializer};
use burn::tensor::Tensor;

/// How weights are filled. Fans are taken from the shape of each: `[inputs, outputs]` of a linear layer, `[out,
/// in, kernel…]` of a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// Evenly between two bounds.
    Uniform {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// From a normal distribution.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// With one value.
    Constant {
        /// The value.
        value: f64,
    },
    /// Within ±sqrt(6 / (fan_in + fan_out)), for tanh and sigmoid (Glorot and Bengio 2010).
    XavierUniform,
    /// Standard deviation sqrt(2 / (fan_in + fan_out)).
    XavierNormal,
    /// Within ±sqrt(6 / fan_in), for rectified units (He et al. 2015).
    KaimingUniform,
    /// Standard deviation sqrt(2 / fan_in).
    KaimingNormal,
    /// Standard deviation sqrt(2 / (kernel height * kernel width * output channels)) for convolutions, which keeps
    /// the variance of gradients (He et al. 2015, section 2.2); `KaimingNormal` for linear layers.
    Convolution,
}

/// Fills the weights of a module anew: all its float parameters of two dimensions or more. Biases, and the weights
/// of normalisation layers, have one dimension and stay what they are.
///
/// ```
/// use burn::nn::conv::Conv2dConfig;
/// use burn::tensor::Device;
/// use denan_burn::remedies::{Fill, initialise};
///
/// let device = Device::default().autodiff();
/// device.seed(3);
/// let conv = initialise(Conv2dConfig::new([8, 32], [3, 3]).init(&device), &Fill::Convolution);
/// let std = conv.weight.val().var(0).mean().into_scalar::<f32>().sqrt();
/// assert!((std - (2.0_f32 / (3.0 * 3.0 * 32.0)).sqrt()).abs() < 0.01);
/// ```
pub fn initialise<M: Module>(module: M, fill: &Fill) -> M {
    module.map(&mut Filler { fill: *fill })
}

/// Weight 1 and bias 0, with which a BatchNorm layer begins.
///
/// ```
/// use burn::nn::BatchNormConfig;
/// use burn::tensor::Device;
/// use denan_burn::remedies::fill_batch_norm;
///
/// let norm = fill_batch_norm(BatchNormConfig::new(3).init(&Device::default().autodiff()));
/// assert_eq!(norm.gamma.val().into_data().try_to_vec::<f32>().unwrap(), [1.0; 3]);
/// assert_eq!(norm.beta.val().into_data().try_to_vec::<f32>().unwrap(), [0.0; 3]);
/// ```
pub fn fill_batch_norm(mut norm: BatchNorm) -> BatchNorm {
    norm.gamma = norm.gamma.map(|gamma| gamma.ones_like());
    norm.beta = norm.beta.map(|beta| beta.zeros_like());
    norm
}

struct Filler {
    fill: Fill,
}

impl ModuleMapper for Filler {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D < 2 {
            return param;
        }
        let fill = self.fill;
        param.map(move |old| {
            let shape = old.dims();
            let kernel: usize = shape[2..].iter().product();
            let (fan_in, fan_out) =
                if D == 2 { (shape[0], shape[1]) } else { (shape[1] * kernel, shape[0] * kernel) };
            let normal = |std| Initializer::Normal { mean: 0.0, std };
            let root_two = 2.0_f64.sqrt();
            let initializer = match fill {
                Fill::Uniform { low, high } => Initializer::Uniform { min: low, max: high },
                Fill::Normal { mean, std } => Initializer::Normal { mean, std },
                Fill::Constant { value } => Initializer::Constant { value },
                Fill::XavierUniform => Initializer::XavierUniform { gain: 1.0 },
                Fill::XavierNormal => Initializer::XavierNormal { gain: 1.0 },
                Fill::KaimingUniform => Initializer::KaimingUniform { gain: root_two, fan_out_only: false },
                Fill::Convolution if D > 2 => normal((2.0 / fan_out as f64).sqrt()),
                Fill::KaimingNormal | Fill::Convolution => {
                    Initializer::KaimingNormal { gain: root_two, fan_out_only: false }
                }
            };
            initializer.init_with::<D, _>(shape, Some(fan_in), Some(fan_out), &old.device()).val()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    #[test]
    fn every_rule_gives_the_spread_of_its_formula() {
        let device = Device::default().autodiff();
        device.seed(11);
        for (fill, std) in [
            (Fill::Uniform { low: -0.3, high: 0.3 }, 0.3 / 3.0_f64.sqrt()),
            (Fill::Normal { mean: 0.0, std: 0.2 }, 0.2),
            (Fill::Constant { value: 0.5 }, 0.0),
            (Fill::XavierUniform, (2.0 / 320.0_f64).sqrt()),
            (Fill::XavierNormal, (2.0 / 320.0_f64).sqrt()),
            (Fill::KaimingUniform, (2.0 / 64.0_f64).sqrt()),
            (Fill::KaimingNormal, (2.0 / 64.0_f64).sqrt()),
        ] {
            let linear = initialise(LinearConfig::new(64, 256).init(&device), &fill);
            let weight = linear.weight.val();
            assert!(weight.is_require_grad(), "{fill:?} is still trained");
            let found = f64::from(weight.reshape([64 * 256]).var(0).into_scalar::<f32>()).sqrt();
            assert!((found - std).abs() < 0.05 * std + 1e-6, "{fill:?}: {found} for {std}");
        }
    }
}
