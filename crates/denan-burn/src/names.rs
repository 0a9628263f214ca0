//! Names of parameters.

use crate::message;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use serde_json::json;

/// Tells denan what the parameters of a module are called: their paths in it, `head.0.weight`.
///
/// Call it once after the module was made or loaded. Parameters that burn has not drawn yet are drawn
/// then, in the order of the module, whether denan is there or not: a program has to compute the same
/// numbers with and without it.
pub fn name_parameters<M: Module>(module: &M) {
    module.visit(&mut Namer { path: Vec::new() });
}

struct Namer {
    path: Vec<String>,
}

impl ModuleVisitor for Namer {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        if message::plan().is_none() {
            return;
        }
        message::tell(&tensor.device(), &json!({ "parameter": self.path.join(".") }));
        // The name is for the tensor that the next operation reads. This one changes nothing.
        drop(tensor.equal_elem(0.0));
    }
}
