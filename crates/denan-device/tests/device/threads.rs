//! A program that calls tensor operations from inside of rayon's jobs, where flex computes too.

use burn_backend::ops::FloatTensorOps;
use burn_backend::{Backend, TensorData};
use denan_device::{Flex, FlexDevice};
use denan_record::plan::{PLAN_VARIABLE, Plan};
use std::process::Command;
use std::time::{Duration, Instant};

/// Large enough for flex to share the work among rayon's threads.
const SIZE: usize = 192;

#[test]
fn operations_inside_of_parallel_jobs_neither_wait_for_each_other_nor_mix_their_tensors() {
    // A process of its own, so that one that hangs can be ended, and can be handed a plan.
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "threads::parallel_program"])
        .env(PLAN_VARIABLE, Plan::default().to_json())
        .env("RAYON_NUM_THREADS", "4")
        .spawn()
        .unwrap();
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        if began.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("the program hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn parallel_program() {
    // Between the jobs with tensors lie others without, so that there are threads that are free to take a
    // piece of an operation over; the thread that waits for it then goes on with another job.
    rayon::in_place_scope(|scope| {
        for number in 0..600_u16 {
            scope.spawn(move |_| {
                if number % 3 == 0 {
                    work_on_tensors(f32::from(number));
                } else {
                    std::thread::sleep(Duration::from_micros(300));
                }
            });
        }
    });
    Flex::sync(&FlexDevice).unwrap();
}

fn work_on_tensors(number: f32) {
    let values = vec![number; SIZE * SIZE];
    let tensor = Flex::float_from_data(TensorData::new(values, [SIZE, SIZE]), &FlexDevice);
    let transposed = Flex::float_transpose(tensor.clone());
    let sum = Flex::float_add(Flex::float_matmul(tensor, transposed.clone()), transposed);
    let data = burn_std::future::block_on(Flex::float_into_data(sum)).unwrap();
    let expected = number * number * SIZE as f32 + number;
    assert!(data.iter::<f32>().all(|value| (value - expected).abs() <= 1e-4 * expected), "{number}");
}
