//! Normalisation layers: one that is held, one without parameters.

use burn::nn::BatchNorm;
use burn::tensor::Tensor;

/// What keeps the divisor away from 0: that of burn's `LayerNorm`.
const EPSILON: f64 = 1e-5;

/// Holds weight and bias of a BatchNorm layer. Its statistics go on; to keep those as well, use burn's own
/// `Module::freeze`.
///
/// ```
/// use burn::nn::BatchNormConfig;
/// use burn::tensor::Device;
/// use denan_burn::remedies::freeze_affine;
///
/// let norm = freeze_affine(BatchNormConfig::new(8).init(&Device::default().autodiff()));
/// assert!(!norm.gamma.val().is_require_grad() && norm.training.is_enabled());
/// ```
pub fn freeze_affine(mut norm: BatchNorm) -> BatchNorm {
    norm.gamma = norm.gamma.set_require_grad(false);
    norm.beta = norm.beta.set_require_grad(false);
    norm
}

/// Values with mean 0 and variance 1: over the last dimension up to rank 3, over all but the first from rank 4 on,
/// as a LayerNorm (Ba et al. 2016) without weight and bias does.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use denan_burn::remedies::layer_norm;
///
/// let grown = Tensor::<2>::from_floats([[1e6, 3e6]], &Device::default());
/// let normal = layer_norm(grown).into_data().try_to_vec::<f32>().unwrap();
/// assert!((normal[0] + 1.0).abs() < 1e-4 && (normal[1] - 1.0).abs() < 1e-4, "{normal:?}");
/// ```
pub fn layer_norm<const D: usize>(values: Tensor<D>) -> Tensor<D> {
    let shape = values.dims();
    let together: usize = if D <= 3 { shape[D - 1] } else { shape[1..].iter().product() };
    let rows = shape.iter().product::<usize>() / together.max(1);
    let values: Tensor<2> = values.reshape([rows, together]);
    let centred = values.clone() - values.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    (centred / (variance + EPSILON).sqrt()).reshape(shape)
}
