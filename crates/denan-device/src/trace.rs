//! From an operation of the backward pass to the call whose gradient it computes.
//!
//! How the operation that made a bad value is found stands in [`denan_record::producer`], the way from there to the
//! data in [`denan_record::origin`].

use crate::graph::{Graph, NodeIndex};
use denan_record::model::Phase;

/// The forward operation that an operation of the backward pass computes the gradient of: the
/// one of the rule's name that shares a tensor with it, or the only one of that name.
pub fn forward_of(graph: &Graph, backward: NodeIndex, name: &str) -> Option<NodeIndex> {
    let candidates: Vec<NodeIndex> = graph
        .newest_first()
        .filter(|&at| {
            let node = graph.node(at);
            node.is_new && node.phase == Phase::Forward && node.name == name
        })
        .collect();
    // What the rule saved reaches the operation directly or through the rule's own intermediate results.
    let mut near = vec![backward];
    for _ in 0..6 {
        // Two calls may share an argument (an exponent): the one meant shares the most.
        let shared = |candidate: NodeIndex| {
            let inputs = near.iter().flat_map(|&at| &graph.node(at).inputs);
            let mut own: Vec<NodeIndex> = inputs
                .copied()
                .filter(|input| *input == candidate || graph.node(candidate).inputs.contains(input))
                .collect();
            own.sort_unstable();
            own.dedup();
            own.len()
        };
        // Of equals the newest, which the backward pass meets first.
        let related = candidates.iter().copied().rev().max_by_key(|&candidate| shared(candidate));
        if related.is_some_and(|candidate| shared(candidate) > 0) {
            return related;
        }
        near = near
            .iter()
            .flat_map(|&at| graph.node(at).inputs.iter().copied())
            .filter(|&input| {
                let node = graph.node(input);
                node.phase == Phase::Backward && node.site != 0 && node.is_new
            })
            .collect();
    }
    match candidates[..] {
        [only] => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;
    use burn_backend::{DType, Shape};
    use burn_ir::TensorId;
    use denan_numerics::Range;
    use denan_record::model::{Birth, Role};
    use denan_record::origin::Geometry;
    use denan_record::producer::{Path, producer};
    use smallvec::SmallVec;

    /// Builds graphs by hand: every node is a tensor of its own.
    struct Builder {
        graph: Graph,
        next: u64,
    }

    impl Builder {
        fn new() -> Self {
            Self { graph: Graph::default(), next: 0 }
        }

        fn add(
            &mut self,
            name: &'static str,
            shape: &[usize],
            geometry: Geometry,
            inputs: &[NodeIndex],
        ) -> NodeIndex {
            let role = match name {
                "input" => Role::Data,
                _ if inputs.is_empty() => Role::Constant,
                _ => Role::Activation,
            };
            let node = Node {
                sequence: self.next,
                name,
                scalar: None,
                geometry,
                site: 0,
                phase: Phase::Forward,
                shape: Shape::from(shape.to_vec()),
                dtype: DType::F32,
                range: Range { count: 4, ..Range::EMPTY },
                subnormals: None,
                summary: None,
                inputs: SmallVec::from_slice(inputs),
                role,
                slot: None,
                batch: None,
                is_new: true,
                of_data: false,
                of_gradient: false,
                used_forward: false,
                data: None,
                indices: None,
                bad_positions: Vec::new(),
                birth: Birth { thread: 0, operation: self.next },
                window: None,
            };
            self.next += 1;
            self.graph.insert(TensorId::new(self.next), node)
        }

        fn made(&mut self, name: &'static str, inputs: &[NodeIndex]) -> NodeIndex {
            self.add(name, &[4], Geometry::Elementwise, inputs)
        }

        fn nan(&mut self, at: NodeIndex) {
            self.graph.node_mut(at).range.nan = 1;
        }

        fn infinite(&mut self, at: NodeIndex) {
            self.graph.node_mut(at).range.neg_inf = 1;
        }
    }

    fn names(graph: &Graph, path: &Path) -> (&'static str, Vec<&'static str>) {
        (graph.node(path.producer).name, path.trail.iter().map(|&at| graph.node(at).name).collect())
    }

    #[test]
    fn the_producer_has_finite_inputs_and_the_trail_leads_to_the_loss() {
        let mut build = Builder::new();
        let data = build.made("input", &[]);
        let log = build.made("log", &[data]);
        let mul = build.made("mul", &[log, data]);
        let loss = build.made("mean", &[mul]);
        build.infinite(log);
        build.nan(mul);
        build.nan(loss);
        assert_eq!(names(&build.graph, &producer(&build.graph, loss)), ("log", vec!["mul", "mean"]));
    }

    #[test]
    fn the_first_of_two_producers_counts() {
        let mut build = Builder::new();
        let data = build.made("input", &[]);
        let early = build.made("div", &[data]);
        let late = build.made("log", &[data]);
        let loss = build.made("add", &[late, early]);
        for at in [early, late, loss] {
            build.nan(at);
        }
        assert_eq!(build.graph.node(producer(&build.graph, loss).producer).name, "div");
    }

    #[test]
    fn a_mask_of_infinities_is_no_producer() {
        let mut build = Builder::new();
        let scores = build.made("matmul", &[]);
        let masked = build.made("mask_fill", &[scores]);
        build.graph.node_mut(masked).scalar = Some(f64::NEG_INFINITY);
        build.infinite(masked);
        let softmax = build.made("softmax", &[masked]);
        build.nan(softmax);
        let loss = build.made("mean", &[softmax]);
        build.nan(loss);
        assert_eq!(names(&build.graph, &producer(&build.graph, loss)), ("softmax", vec!["mean"]));
        build.graph.node_mut(masked).scalar = Some(0.0);
        let path = producer(&build.graph, loss);
        assert_eq!(
            build.graph.node(path.producer).name,
            "mask_fill",
            "infinities nobody asked for are a fault"
        );
    }

    #[test]
    fn plus_infinity_in_the_data_is_a_fault() {
        let mut build = Builder::new();
        let data = build.made("input", &[]);
        build.graph.node_mut(data).range.pos_inf = 1;
        let conv = build.made("conv2d", &[data]);
        build.nan(conv);
        assert_eq!(build.graph.node(producer(&build.graph, conv).producer).name, "input");
    }

    #[test]
    fn the_forward_call_of_a_gradient_shares_what_it_saved() {
        let mut build = Builder::new();
        let (a, b) = (build.made("input", &[]), build.made("input", &[]));
        let first = build.made("log", &[a]);
        let second = build.made("log", &[b]);
        let recip = build.made("recip", &[a]);
        build.graph.node_mut(recip).phase = Phase::Backward;
        build.graph.node_mut(recip).site = 1;
        let product = build.made("mul", &[recip]);
        build.graph.node_mut(product).phase = Phase::Backward;
        assert_eq!(forward_of(&build.graph, recip, "log"), Some(first));
        assert_eq!(forward_of(&build.graph, product, "log"), Some(first));
        assert_ne!(first, second);
        assert_eq!(forward_of(&build.graph, recip, "sqrt"), None);
    }
}
