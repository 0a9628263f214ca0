//! How much of the read bandwidth the summaries reach: `cargo bench -p denan-numerics`.
//!
//! criterion measures each pass alone. The closing table measures the passes in turns with a plain sum of the same bytes, since the bandwidth
//! of a shared machine changes from second to second; a ratio compares the fastest run of each. With `-- --table` the table comes alone. For
//! the last row, `DENAN_PYTHON` names a Python that has numpy; else it is `python3`.

use std::hint::black_box;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use denan_numerics::{Element, ExponentHistogram, MantissaBits, range, summarize, summarize_parallel};
use half::{bf16, f16};

const BYTES: usize = 256 << 20;
const ROUNDS: usize = 15;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let data = Data::new();
    if !arguments.iter().any(|argument| argument == "--table") {
        let mut criterion = Criterion::default().configure_from_args();
        large(&mut criterion, &data);
        small(&mut criterion, &data);
        criterion.final_summary();
    }
    table(&data);
}

/// 256 MiB of normal numbers in each element type.
struct Data {
    singles: Vec<f32>,
    doubles: Vec<f64>,
    halves: Vec<f16>,
    brains: Vec<bf16>,
}

impl Data {
    fn new() -> Self {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        let pattern: Vec<f32> = (0..1 << 20).map(|_| (0..4).map(|_| uniform()).sum::<f32>() - 2.0).collect();
        fn fill<T>(pattern: &[f32], narrow: impl Fn(f32) -> T) -> Vec<T> {
            pattern.iter().cycle().take(BYTES / size_of::<T>()).map(|&x| narrow(x)).collect()
        }
        Self {
            singles: fill(&pattern, |x| x),
            doubles: fill(&pattern, f64::from),
            halves: fill(&pattern, f16::from_f32),
            brains: fill(&pattern, bf16::from_f32),
        }
    }
}

fn large(criterion: &mut Criterion, data: &Data) {
    let mut group = criterion.benchmark_group("256 MiB");
    group.sample_size(10).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200));
    group.throughput(Throughput::Bytes(BYTES as u64));
    group.bench_function("read", |b| b.iter(|| reference::read(black_box(&data.singles))));
    group.bench_function("summarize f32", |b| b.iter(|| summarize(black_box(&data.singles))));
    group.bench_function("summarize f64", |b| b.iter(|| summarize(black_box(&data.doubles))));
    group.bench_function("summarize f16", |b| b.iter(|| summarize(black_box(&data.halves))));
    group.bench_function("summarize bf16", |b| b.iter(|| summarize(black_box(&data.brains))));
    group.bench_function("range f32", |b| b.iter(|| range(black_box(&data.singles))));
    group.bench_function("range f16", |b| b.iter(|| range(black_box(&data.halves))));
    group.bench_function("histogram f32", |b| b.iter(|| ExponentHistogram::of(black_box(&data.singles), MantissaBits::Three)));
    group.finish();
}

fn small(criterion: &mut Criterion, data: &Data) {
    let mut group = criterion.benchmark_group("small f32");
    group.measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200));
    for len in [1, 128, 4096, 65536] {
        let part = &data.singles[..len];
        group.bench_function(format!("range {len}"), |b| b.iter(|| range(black_box(part))));
        group.bench_function(format!("summarize {len}"), |b| b.iter(|| summarize(black_box(part))));
    }
    group.finish();
}

struct Row<'a> {
    name: &'static str,
    /// Row it is measured against.
    against: usize,
    target: Option<f64>,
    run: Box<dyn Fn() + 'a>,
    fastest: Duration,
}

fn table(data: &Data) {
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |name, against, target, run: Box<dyn Fn() + '_>| {
        rows.push(Row { name, against, target, run, fastest: Duration::MAX });
    };
    row("read, 1 thread", 0, None, Box::new(|| drop(black_box(reference::read(&data.singles)))));
    row("read, 2 threads", 1, None, Box::new(|| read_on_two(&data.singles)));
    row("summarize f32", 0, Some(0.85), pass(&data.singles));
    row("summarize f32, 2 threads", 1, Some(0.85), Box::new(|| drop(black_box(summarize_parallel(&data.singles, 2)))));
    row("summarize f64", 0, None, pass(&data.doubles));
    row("summarize f16", 0, Some(0.5), pass(&data.halves));
    row("summarize bf16", 0, Some(0.5), pass(&data.brains));
    row("range f32", 0, None, Box::new(|| drop(black_box(range(&data.singles)))));
    row("range f16", 0, None, Box::new(|| drop(black_box(range(&data.halves)))));
    for _ in 0..ROUNDS {
        for row in &mut rows {
            let start = Instant::now();
            (row.run)();
            row.fastest = row.fastest.min(start.elapsed());
        }
    }

    println!("\n{:<26}{:>8}{:>9}{:>9}", "256 MiB", "GB/s", "of read", "target");
    for row in &rows {
        let speed = BYTES as f64 / row.fastest.as_secs_f64() / 1e9;
        let part = 100.0 * rows[row.against].fastest.as_secs_f64() / row.fastest.as_secs_f64();
        let target = row.target.map_or(String::new(), |target| format!("{:.0} %", 100.0 * target));
        println!("{:<26}{speed:>8.1}{part:>7.0} %{target:>9}", row.name);
    }
    let ours = rows[2].fastest;
    match numpy() {
        Ok(theirs) => println!("{:<26}{:>7.1}x{:>18}", "numpy f32, same figures", theirs.div_duration_f64(ours), "15x"),
        Err(reason) => println!("numpy f32: not measured: {reason}"),
    }

    println!("\n{:<26}{:>8}{:>12}", "small f32", "range", "summarize");
    for len in [1, 16, 128, 1024, 4096, 65536] {
        let part = &data.singles[..len];
        let range_ns = each_ns(|| drop(black_box(range(black_box(part)))));
        let summarize_ns = each_ns(|| drop(black_box(summarize(black_box(part)))));
        println!("{:<26}{range_ns:>5.0} ns{summarize_ns:>9.0} ns", format!("{len} elements"));
    }
}

fn pass<T: Element>(data: &[T]) -> Box<dyn Fn() + '_> {
    Box::new(|| drop(black_box(summarize(data))))
}

fn read_on_two(data: &[f32]) {
    let (left, right) = data.split_at(data.len() / 2);
    thread::scope(|scope| {
        let other = scope.spawn(|| reference::read(left));
        black_box(reference::read(right));
        black_box(other.join().ok());
    });
}

fn each_ns(run: impl Fn()) -> f64 {
    let once = || {
        let start = Instant::now();
        (0..100).for_each(|_| run());
        start.elapsed()
    };
    (0..200).map(|_| once()).min().unwrap_or_default().as_secs_f64() * 1e7
}

fn numpy() -> Result<Duration, String> {
    let python = std::env::var("DENAN_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/numpy_peer.py");
    let output = Command::new(&python).arg(script).arg((BYTES / 4).to_string()).output();
    let output = output.map_err(|error| format!("{python}: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{python}: {}", text.lines().last().unwrap_or("no reason given")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds: f64 = text.trim().parse().map_err(|_| format!("{python} printed {text:?}"))?;
    Ok(Duration::from_secs_f64(seconds))
}

/// The fastest plain read: a wrapping sum of the bytes as 64-bit integers, compiled for what the processor has.
mod reference {
    use std::sync::OnceLock;
    use std::time::Instant;

    type Read = fn(&[u64]) -> u64;

    pub fn read(data: &[f32]) -> u64 {
        static FASTEST: OnceLock<Read> = OnceLock::new();
        // SAFETY: every pattern of four bytes is part of an integer.
        let (_, words, _) = unsafe { data.align_to::<u64>() };
        FASTEST.get_or_init(|| fastest(words))(words)
    }

    fn fastest(words: &[u64]) -> Read {
        let mut candidates: Vec<Read> = vec![sum];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the processor has the feature.
                candidates.push(|words| unsafe { sum_avx2(words) });
            }
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has the feature.
                candidates.push(|words| unsafe { sum_avx512(words) });
            }
        }
        let once = |read: &Read| {
            let start = Instant::now();
            std::hint::black_box(read(std::hint::black_box(words)));
            start.elapsed()
        };
        let least = |read: &Read| (0..7).map(|_| once(read)).min();
        candidates.into_iter().min_by_key(least).unwrap_or(sum)
    }

    #[inline(always)]
    fn sum(words: &[u64]) -> u64 {
        words.iter().fold(0, |sum, &word| sum.wrapping_add(word))
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn sum_avx2(words: &[u64]) -> u64 {
        sum(words)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn sum_avx512(words: &[u64]) -> u64 {
        sum(words)
    }
}
