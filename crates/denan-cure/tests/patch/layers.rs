//! Initialisers, normalisation layers and what freezes them.

use crate::program::{Known, Program, broke, dedent};
use denan_cure::patch::NoPatch;
use denan_finding::Patch;
use denan_record::model::{Parameter, Run};
use denan_record::plan::{BatchNormFreeze, CallAt, Chosen, Initializer, Intervention, NewValues};

const NET: &str = "
    impl Net {
        fn new(device: &Device) -> Self {
            Self {
                encoder: LinearConfig::new(8, 4).with_initializer(Initializer::Normal { mean: 0.0, std: 1.0 }).init(device),
                conv: Conv2dConfig::new([3, 8], [3, 3]).init(device),
                norm: BatchNormConfig::new(8).init(device),
            }
        }

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            relu(self.encoder.forward(x))
        }
    }
";

fn patch(intervention: &Intervention, names: &[&str]) -> Result<Patch, NoPatch> {
    let program = Program::new(&dedent(NET));
    let mut known = Known::new(broke("matmul", "forward", None, &[]));
    let parameter = |(slot, name): (usize, &&str)| Parameter {
        slot: slot as u32,
        name: Some((*name).to_owned()),
        ..Parameter::default()
    };
    known.run = Run { parameters: names.iter().enumerate().map(parameter).collect(), ..Run::default() };
    known.patch(&program, intervention)
}

fn chosen(slot: usize) -> Chosen {
    Chosen { slot: slot as u32, ..Chosen::default() }
}

fn values(slot: usize, shape: &[u64], initializer: Initializer) -> NewValues {
    NewValues { parameter: chosen(slot), shape: shape.to_vec(), initializer, only_non_finite: false }
}

#[test]
fn an_initialiser_is_written_as_burn_writes_it() {
    let new = vec![values(0, &[8, 4], Initializer::kaiming_normal(8.0))];
    let one = patch(&Intervention::Reinitialize { parameters: new }, &["encoder.weight"]).unwrap();
    assert!(
        one.after.contains(
            "with_initializer(burn::nn::Initializer::KaimingNormal { gain: 2.0_f64.sqrt(), fan_out_only: false })"
        ),
        "{}",
        one.after
    );
    let both = vec![
        values(0, &[8, 4], Initializer::xavier_uniform(8.0, 4.0)),
        values(1, &[8, 3, 3, 3], Initializer::convolution(9.0, 8.0)),
    ];
    let both =
        patch(&Intervention::Reinitialize { parameters: both }, &["encoder.weight", "conv.weight"]).unwrap();
    assert!(both.after.contains("XavierUniform { gain: 1.0 }"), "{}", both.after);
    assert!(both.after.contains("Normal { mean: 0.0, std: 0.166666667 }"), "{}", both.after);
}

#[test]
fn weights_without_a_name_are_not_guessed() {
    let new = vec![values(0, &[8, 4], Initializer::kaiming_normal(8.0))];
    let refused = patch(&Intervention::Reinitialize { parameters: new }, &[]).unwrap_err();
    assert!(refused.why.contains("a layer without a name"), "{refused}");
}

#[test]
fn a_checkpoint_is_not_mended_in_the_source() {
    let bad = NewValues { only_non_finite: true, ..values(0, &[8, 4], Initializer::kaiming_normal(8.0)) };
    let refused =
        patch(&Intervention::Reinitialize { parameters: vec![bad] }, &["encoder.weight"]).unwrap_err();
    assert!(refused.by_hand.contains("clean checkpoint"), "{refused}");
}

#[test]
fn a_norm_goes_around_the_call_of_the_layer() {
    let after =
        vec![CallAt { op: "linear".to_owned(), file: "src/main.rs".to_owned(), line: 11, module: None }];
    let norm = patch(&Intervention::InsertNorm { after }, &[]).unwrap();
    assert_eq!(norm.after, "        relu(denan_burn::remedies::layer_norm(self.encoder.forward(x)))");
}

#[test]
fn batch_norm_is_frozen_where_it_is_made() {
    let freeze = |how| Intervention::FreezeBatchNorm { how, parameters: Vec::new() };
    let whole = patch(&freeze(BatchNormFreeze::Statistics), &[]).unwrap();
    assert!(whole.after.contains("norm: BatchNormConfig::new(8).init(device).freeze(),"), "{}", whole.after);
    let affine = patch(&freeze(BatchNormFreeze::Affine), &[]).unwrap();
    let expected = "norm: denan_burn::remedies::freeze_affine(BatchNormConfig::new(8).init(device)),";
    assert!(affine.after.contains(expected), "{}", affine.after);
    assert!(patch(&freeze(BatchNormFreeze::Recompute), &[]).is_err());
}
