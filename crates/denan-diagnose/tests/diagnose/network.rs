//! Causes in the network and in what it is fed.

use crate::support::*;
use denan_record::model::Phase::Forward;
use denan_record::model::{DataSeen, Kind, Parameter, Role, Run, Step};

/// A training whose products overflow after some calm steps.
fn overflows(step: u64) -> Run {
    let mut run = broken(step, Forward, Kind::Infinity, operation("matmul", vec![activation(&[1e25, 1e25])]));
    for step in 0..step {
        let update_norm = Some(1e-3);
        run.steps.push(Step {
            step,
            loss: Some(1.0),
            update_norm,
            weight_norm: Some(1.0),
            ..Step::default()
        });
    }
    run
}

fn weight(slot: u32, std: f64) -> Parameter {
    Parameter {
        initial: Some(spread(10_000, std)),
        ..parameter(slot, &format!("layers.{slot}.weight"), &[100, 100])
    }
}

#[test]
fn weights_beyond_their_fan_in_are_the_cause_of_what_they_blow_up() {
    let with_std = |std: f64| {
        let mut run = overflows(2);
        run.parameters = (0..3).map(|slot| weight(slot, std)).collect();
        run.graphs.push(Graph::of_layers(0, &[30.0, 900.0, 3e4]).0);
        findings(&run)
    };
    let found = with_std(1.0);
    assert_eq!(found[0].rule, "bad-initialization", "{}", verdict(&found));
    assert!(found[0].summary.contains("7.1 times too large"), "{}", found[0].summary);
    assert_house_style(&found);
    // sqrt(2 / 100)
    assert!(with_std(0.14).iter().all(|found| found.rule != "bad-initialization"));
}

#[test]
fn growth_through_a_deep_network_needs_depth_and_no_normalisation() {
    let growing: Vec<f64> = (0..9).map(|layer| 4f64.powi(layer)).collect();
    let with = |change: &dyn Fn(&mut Graph)| {
        let mut run = overflows(5);
        let mut graph = Graph::of_layers(0, &growing);
        change(&mut graph);
        run.graphs.push(graph.0);
        findings(&run)
    };
    let found = with(&|_| {});
    assert_eq!(found[0].rule, "exploding-activations", "{}", verdict(&found));
    assert_house_style(&found);
    let normalised = with(&|graph| {
        graph.made("layer_norm", &[2], &[1.0]);
    });
    assert!(normalised.iter().all(|found| found.rule != "exploding-activations"));
    // One layer that is called again and again is a recurrent net.
    let recurrent = with(&|graph| {
        for node in &mut graph.0.nodes {
            node.slot = node.slot.map(|_| 0);
        }
    });
    assert!(recurrent.iter().all(|found| found.rule != "exploding-activations"));
}

#[test]
fn columns_far_apart_in_scale_are_blamed_if_a_layer_reads_them_as_they_are() {
    let column = |size: f64| spread(64, size);
    let data = |sizes: [f64; 2]| DataSeen {
        place: None,
        shape: vec![64, 2],
        dtype: "float32".to_owned(),
        tensors: 1,
        axis: 1,
        columns: sizes.map(column).to_vec(),
        typical: sizes.to_vec(),
        extreme: None,
    };
    let with = |sizes: [f64; 2], read: f64| {
        let mut run = overflows(5);
        run.data.push(data(sizes));
        let mut graph = Graph::of(0);
        let input = graph.data(&[read]);
        let weight = graph.parameter(0, &[0.5]);
        graph.made("matmul", &[input, weight], &[read]);
        run.graphs.push(graph.0);
        findings(&run)
    };
    let found = with([1e-3, 5000.0], 5000.0);
    assert_eq!(found[0].rule, "feature-scale", "{}", verdict(&found));
    assert_house_style(&found);
    assert!(with([60.0, 5000.0], 5000.0).iter().all(|found| found.rule != "feature-scale"), "not far enough");
    assert!(with([1e-3, 5000.0], 1.0).iter().all(|found| found.rule != "feature-scale"), "normalised");
}

#[test]
fn a_loss_that_adds_up_is_blamed_and_one_that_averages_is_not() {
    let with = |reduction: &str| {
        let mut run = overflows(2);
        let mut graph = Graph::of(1);
        let input = graph.data(&[1.0]);
        let weight = graph.parameter(0, &[0.5]);
        let layer = graph.made("matmul", &[input, weight], &[1.0; 256]);
        let square = graph.made("mul", &[layer, layer], &[1.0; 256]);
        let loss = graph.made(reduction, &[square], &[256.0]);
        graph.node(loss).shape = vec![1];
        graph.add("ones", &[], &[1.0], Role::Gradient);
        run.graphs.push(graph.0);
        findings(&run)
    };
    let found = with("sum");
    assert_eq!(found[0].rule, "sum-reduction", "{}", verdict(&found));
    assert!(found[0].summary.contains("256 elements"), "{}", found[0].summary);
    assert_house_style(&found);
    assert!(with("mean").iter().all(|found| found.rule != "sum-reduction"));
}

#[test]
fn a_scale_that_only_grows_is_blamed_where_it_overflows() {
    let with = |sizes: &dyn Fn(u64) -> f64| {
        let mut run = broken(100, Forward, Kind::Infinity, operation("exp", vec![activation(&[90.0])]));
        run.parameters
            .push(Parameter { initial: Some(summary(1, sizes(0))), ..parameter(0, "log_scale", &[1]) });
        for step in 0..100 {
            let mut seen = parameter_step(0, summary(1, 0.1), summary(1, 0.1));
            seen.value = Some(summary(1, sizes(step)));
            run.steps.push(Step { step, loss: Some(1.0), parameters: vec![seen], ..Step::default() });
        }
        for step in [99, 100] {
            let mut graph = Graph::of(step);
            let scale = graph.parameter(0, &[sizes(99)]);
            let exp = graph.made("exp", &[scale], &[f64::INFINITY]);
            graph.node(exp).place = Some(0);
            graph.0.places.push(place());
            graph.0.producer = Some(exp);
            run.graphs.push(graph.0);
        }
        findings(&run)
    };
    let found = with(&|step| 50.0 + 0.4 * step as f64);
    assert_eq!(found[0].rule, "weight-growth", "{}", verdict(&found));
    assert_house_style(&found);
    assert_eq!(with(&|step| 90.0 - 0.1 * step as f64)[0].rule, "exp-overflow", "it shrank");
}

#[test]
fn weights_that_follow_a_loss_without_a_lower_bound_are_no_matter_of_the_rate() {
    let with = |op: &str, loss: &dyn Fn(i32) -> f64, norm: &dyn Fn(i32) -> f64| {
        let mut run = broken(60, Forward, Kind::Infinity, operation(op, vec![activation(&[1e25, 1e25])]));
        for step in 0..60 {
            run.steps.push(Step {
                step: step as u64,
                loss: Some(loss(step)),
                weight_norm: Some(norm(step)),
                update_norm: Some(norm(step)),
                ..Step::default()
            });
        }
        findings(&run)
    };
    let (falls, grows) = (|step: i32| -0.1 * 1.5f64.powi(step), |step: i32| 5.0 * 1.2f64.powi(step));
    let found = with("matmul", &falls, &grows);
    assert_eq!(verdict(&found), "weight-growth 0.9");
    assert_house_style(&found);
    let is_silent =
        |found: Vec<denan_finding::Finding>| found.iter().all(|found| found.rule != "weight-growth");
    assert!(is_silent(with("matmul", &|step| -falls(step), &grows)), "the loss rises");
    assert!(is_silent(with("matmul", &falls, &|_| 5.0)), "the weights stay");
    assert!(is_silent(with("exp", &falls, &grows)), "a variance that shrinks");
    let turns = |step: i32| if step == 58 { -1e3 } else { falls(step) };
    assert!(is_silent(with("matmul", &turns, &grows)), "it swings");
}

#[test]
fn sums_that_are_added_up_count_together() {
    let with = |terms: usize, divided: bool| {
        let mut run = overflows(2);
        let mut graph = Graph::of(1);
        let weight = graph.parameter(0, &[0.5]);
        let mut loss = None;
        for _ in 0..terms {
            let input = graph.data(&[1.0]);
            let layer = graph.made("matmul", &[input, weight], &[1.0; 20]);
            let square = graph.made("mul", &[layer, layer], &[1.0; 20]);
            let sum = graph.made("sum", &[square], &[20.0]);
            loss = Some(loss.map_or(sum, |before| graph.made("add", &[before, sum], &[20.0])));
        }
        let mut loss = loss.expect("there are terms");
        if divided {
            loss = graph.made("div", &[loss], &[1.0]);
        }
        for node in &mut graph.0.nodes {
            node.shape = if node.range.count == 1 { vec![1] } else { node.shape.clone() };
        }
        graph.node(loss).shape = vec![1];
        graph.add("ones", &[], &[1.0], Role::Gradient);
        run.graphs.push(graph.0);
        findings(&run)
    };
    let found = with(10, false);
    assert_eq!(found[0].rule, "sum-reduction", "{}", verdict(&found));
    assert!(found[0].summary.contains("200 elements"), "{}", found[0].summary);
    assert!(with(10, true).iter().all(|found| found.rule != "sum-reduction"));
}

#[test]
fn box_targets_far_from_their_anchors_are_blamed_though_the_anchors_are_elsewhere() {
    let with = |far: f64, masked: bool| {
        let mut run = overflows(3);
        let mut graph = Graph::of(0);
        let input = graph.data(&[1.0]);
        let targets = graph.data(&[0.0, far, 0.5, -0.5, 0.0, 0.0, 0.0, 0.0]);
        let mask = graph.data(&[1.0, 0.0]);
        let weight = graph.parameter(0, &[0.5]);
        let answer = graph.made("matmul", &[input, weight], &[0.1; 8]);
        let error = graph.made("sub", &[answer, targets], &[far; 8]);
        let square = graph.made("mul", &[error, error], &[far * far; 8]);
        if masked {
            graph.made("mul", &[square, mask], &[far * far; 8]);
        }
        for at in [targets, error] {
            graph.node(at).shape = vec![1, 8, 4];
        }
        run.graphs.push(graph.0);
        findings(&run)
    };
    let found = with(-2000.0, true);
    assert_eq!(found[0].rule, "bad-anchors", "{}", verdict(&found));
    assert_house_style(&found);
    assert!(with(5.0, true).iter().all(|found| found.rule != "bad-anchors"), "they match");
    assert!(with(-2000.0, false).iter().all(|found| found.rule != "bad-anchors"), "plain regression");
}

#[test]
fn anchors_that_are_picked_for_their_boxes_are_blamed_if_all_boxes_are_far_too_large_for_them() {
    let with = |boxes: [f64; 8], anchors: u64| {
        let mut run = overflows(3);
        let mut graph = Graph::of(0);
        let image = graph.data(&[1.0]);
        let weight = graph.parameter(0, &[0.5]);
        let map = graph.made("conv2d", &[image, weight], &[0.1]);
        let answers = graph.made("reshape", &[map], &[0.1]);
        let match_ = graph.data(&[3.0, 0.0]);
        let picked = graph.made("select", &[answers, match_], &[0.1]);
        let targets = graph.data(&boxes);
        let error = graph.made("sub", &[picked, targets], &boxes);
        graph.node(map).shape = vec![2, 4 * anchors, 2, 2];
        graph.node(answers).shape = vec![2, 4 * anchors, 4];
        graph.node(match_).dtype = "int64".to_owned();
        graph.node(targets).values = boxes.to_vec();
        for at in [picked, targets, error] {
            graph.node(at).shape = vec![2, 4];
        }
        run.graphs.push(graph.0);
        findings(&run)
    };
    // 60 anchors away, 55 anchors large.
    let far = [60.5, -90.0, 4.1, 4.2, 30.0, 45.0, 3.9, 4.0];
    let found = with(far, 3);
    assert_eq!(found[0].rule, "bad-anchors", "{}", verdict(&found));
    assert!(found[0].evidence[0].contains("each of 12 anchors"), "{:?}", found[0].evidence);
    assert_house_style(&found);
    for (name, boxes, anchors) in [
        ("one answer a cell needs no anchors", far, 1),
        ("boxes in pixels", [60.0, 90.0, 11.0, 14.0, 200.0, 45.0, 30.0, 25.0], 3),
        ("pixels are no logarithms", [60.5, 90.5, 210.5, 180.5, 200.5, 45.5, 150.5, 120.5], 3),
        ("one of them fits", [60.5, -90.0, 4.1, 4.2, 0.5, 0.3, 0.1, -0.2], 3),
    ] {
        assert!(with(boxes, anchors).iter().all(|found| found.rule != "bad-anchors"), "{name}");
    }
}
