//! What denan's cures do, as calls for a program of one's own.
//!
//! Where burn has the piece itself, burn's is the one to use: `Initializer` and `with_initializer` of a layer's
//! configuration, `Module::freeze` (a BatchNorm that is frozen keeps weight, bias and running statistics),
//! `with_grad_clipping` of an optimizer's configuration (which clips each tensor by itself), the schedulers of
//! `burn::lr_scheduler`. Here is what it lacks:
//!
//! - [`initialise`]: a module's weights anew, with one rule for each kind of layer; [`fill_batch_norm`];
//! - [`freeze_affine`]: a BatchNorm whose weight and bias are held, and whose statistics go on;
//! - [`clip_global_norm`], [`scaled_gradients`]: what becomes of gradients between `backward` and `step`;
//! - [`layer_norm`]: a normalisation without parameters, where values grow from layer to layer;
//! - [`Guard`]: a step that is skipped, rolled back and slowed down when something is not finite;
//! - [`Release`]: a backbone that is frozen first and released little by little.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::{GradientsParams, SgdConfig};
//! use burn::tensor::{Device, Tensor};
//! use denan_burn::remedies::{Fill, clip_global_norm, initialise};
//!
//! let device = Device::default().autodiff();
//! device.seed(1);
//! let mut model = initialise(LinearConfig::new(4, 2).init(&device), &Fill::XavierNormal);
//! let mut optimizer = SgdConfig::new().init();
//! let inputs = Tensor::<2>::from_floats([[1e3, -1e3, 1e3, 0.0]], &device);
//! for _ in 0..20 {
//!     let loss = model.forward(inputs.clone()).square().mean();
//!     let gradients = GradientsParams::from_grads(loss.backward(), &model);
//!     let gradients = clip_global_norm(gradients, &model, 1.0);
//!     model = optimizer.step(1e-3, model, gradients);
//! }
//! let loss = model.forward(inputs).square().mean().into_scalar::<f32>();
//! assert!(loss.is_finite());
//! ```

mod gradients;
mod guard;
mod initialise;
mod norm;
mod release;

pub use gradients::{clip_global_norm, scaled_gradients};
pub use guard::{Act, Guard, Policy};
pub use initialise::{Fill, fill_batch_norm, initialise};
pub use norm::{freeze_affine, layer_norm};
pub use release::Release;
