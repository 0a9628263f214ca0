use super::*;
use crate::tensor::tests::over;
use denan_record::origin::{Elements, data_behind};
use denan_record::producer;
use std::collections::BTreeSet;

fn operation<'a>(op: &'a str, args: &'a [Arg], outputs: &'a [Tensor]) -> Seen<'a> {
    Seen {
        op,
        call: None,
        phase: Phase::Forward,
        place: None,
        forward_place: None,
        module: None,
        args,
        value: None,
        outputs,
        written: 0,
    }
}

fn one(values: &[f32]) -> Tensor {
    over(values, &[values.len()], &[1])
}

#[test]
fn the_producer_is_found_through_views_and_what_is_written_in_place() {
    let mut look = Look::default();
    look.begin(3);
    let data = [0.0f32, 1.0];
    let mut logarithm = [f32::NEG_INFINITY, 0.0];
    look.operation(&operation("log", &[Arg::Tensor(one(&data))], &[one(&logarithm)]));
    logarithm = [f32::NEG_INFINITY, 1.0];
    let args = [Arg::Tensor(one(&logarithm)), Arg::Number(1.0)];
    let added = look.operation(&operation("add_", &args, &[one(&logarithm)]))[0];
    let path = producer::producer(&look, added);
    assert_eq!(&*look.node(path.producer).name, "log");
    assert_eq!(path.trail, [added]);
    assert_eq!(look.node(path.producer).bad_positions, [0]);
}

#[test]
fn a_view_is_read_again_once_its_memory_was_written() {
    let mut look = Look::default();
    look.begin(0);
    let mut values = [1.0f32, 2.0];
    let head = |values: &[f32]| over(values, &[1], &[1]);
    let whole = Arg::Tensor(one(&values));
    look.operation(&operation("slice", std::slice::from_ref(&whole), &[head(&values)]));
    values = [f32::NAN, 2.0];
    let args = [Arg::Tensor(one(&values)), Arg::Number(1.0)];
    look.operation(&operation("mul_", &args, &[one(&values)]));
    let result = [f32::NAN];
    let made = look.operation(&operation("exp", &[Arg::Tensor(head(&values))], &[one(&result)]))[0];
    let path = producer::producer(&look, made);
    assert_eq!(&*look.node(path.producer).name, "mul");
}

#[test]
fn to_take_the_same_view_twice_writes_nothing() {
    let mut look = Look::default();
    look.begin(0);
    let values = [f32::NAN, 2.0];
    let whole = Arg::Tensor(one(&values));
    let row = over(&values, &[1, 2], &[2, 1]);
    look.operation(&operation("exp", &[Arg::Tensor(one(&[0.0]))], &[one(&values)]));
    for _ in 0..2 {
        look.operation(&operation("view", std::slice::from_ref(&whole), std::slice::from_ref(&row)));
    }
    let result = [f32::NAN, 4.0];
    let made = look.operation(&operation("mul", std::slice::from_ref(&whole), &[one(&result)]))[0];
    let read = look.node(made).inputs[0];
    assert_eq!(&*look.node(read).name, "exp");
}

#[test]
fn what_is_copied_into_memory_is_all_that_is_there() {
    let mut look = Look::default();
    look.begin(0);
    let mut held = [1.0f32, 2.0];
    look.operation(&operation("exp", &[Arg::Tensor(one(&held))], &[one(&[0.0, 0.0])]));
    let copied = [0.0f32, 2.0];
    held = copied;
    let args = [Arg::Tensor(one(&held)), Arg::Tensor(one(&copied))];
    look.operation(&operation("copy_", &args, &[one(&held)]));
    let result = [f32::NEG_INFINITY, 0.7];
    let made = look.operation(&operation("log", &[Arg::Tensor(one(&held))], &[one(&result)]))[0];
    let read = look.node(made).inputs[0];
    assert_eq!((&*look.node(read).name, look.node(read).range.zeros), ("clone", 1));
    assert_eq!(look.node(read).inputs.len(), 1, "nothing of what was there stays");
}

#[test]
fn the_samples_are_those_of_the_batch_that_was_read() {
    let mut look = Look::default();
    look.begin(0);
    let (first, second) = ([1.0f32, 2.0], [0.0f32, 4.0]);
    let samples = [[3, 5], [8, 9]].map(|of| of.map(|index| Sample { index, name: None }));
    for (batch, of) in [&first, &second].into_iter().zip(&samples) {
        let tensor = one(batch);
        look.know(tensor.storage, tensor.pointer, Known::Batch(None, of.as_slice().into()));
    }
    let results = [[0.0f32, 0.7], [f32::NEG_INFINITY, 1.4]];
    let made = [&first, &second].into_iter().zip(&results).map(|(batch, result)| {
        look.operation(&operation("log", &[Arg::Tensor(one(batch))], &[one(result)]))[0]
    });
    let made: Vec<u32> = made.collect();
    assert_eq!(look.batches_behind(made[1]), [samples[1].as_slice().into()]);
    let args = [Arg::Tensor(one(&results[0])), Arg::Tensor(one(&results[1]))];
    let sum = [f32::NEG_INFINITY, 2.1];
    let both = look.operation(&operation("add", &args, &[one(&sum)]))[0];
    assert_eq!(look.batches_behind(both).len(), 2);
}

#[test]
fn rows_of_a_data_set_in_memory_are_found_by_the_index_that_took_them() {
    let mut look = Look::default();
    look.begin(1);
    let data = [5.0f32, 6.0, 7.0, 8.0, 0.0, 3.0];
    let order = [2i64, 0];
    // SAFETY: the array outlives the tensor.
    let index = unsafe { Tensor::new(7, order.as_ptr() as usize, Dtype::Int64, vec![2], vec![1], None) };
    let taken = [0.0f32, 3.0, 5.0, 6.0];
    let args = [Arg::Tensor(over(&data, &[3, 2], &[2, 1])), Arg::Tensors(vec![Some(index)])];
    look.operation(&operation("index", &args, &[over(&taken, &[2, 2], &[2, 1])]));
    let logarithm = [f32::NEG_INFINITY, 1.0, 1.6, 1.8];
    let args = [Arg::Tensor(over(&taken, &[2, 2], &[2, 1]))];
    let made = look.operation(&operation("log", &args, &[over(&logarithm, &[2, 2], &[2, 1])]))[0];
    let behind = data_behind(&look, made, Elements::At(BTreeSet::from([0])));
    let rows = behind.iter().find(|data| look.node(data.node).shape == [3, 2]).expect("the data set");
    assert_eq!(rows.elements, Elements::At(BTreeSet::from([4])));
    assert_eq!(look.batch_of(rows.node), Some(vec![2, 0]));
}

#[test]
fn one_operation_for_many_tensors_makes_as_many_nodes() {
    let mut look = Look::default();
    look.begin(0);
    let (a, b, c) = ([1.0f32, 2.0], [3.0f32], [f32::NAN]);
    let lists = [Arg::Tensors(vec![Some(one(&a)), Some(one(&b))]), Arg::Tensor(one(&c))];
    let made = look.operation(&operation("_foreach_mul_", &lists, &[one(&a), one(&b)]));
    assert_eq!(made.len(), 2);
    assert!(made.iter().all(|&at| &*look.node(at).name == "mul" && look.node(at).inputs.len() == 2));
}
