//! How much of the read bandwidth the summaries reach: `cargo bench -p denan-numerics`.
//!
//! criterion measures each pass alone. The closing table measures the passes in turns with a plain
//! sum of the same bytes, since the bandwidth of a shared machine changes from second to second; a
//! ratio compares the fastest run of each. With `-- --table` the table comes alone. For the last
//! row, `DENAN_PYTHON` names a Python that has numpy; else it is `python3`.
//!
//! The tallies take one buffer of 1 MiB again and again, as the parts of a file come in.

use std::hint::black_box;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use denan_numerics::{
    Element, ExponentHistogram, MantissaBits, Tally, range, summarize, summarize_parallel, tally_columns,
};
use half::{bf16, f16};

use reference::read;

const BYTES: usize = 256 << 20;
const ROUNDS: usize = 15;

/// A part of a file, which lies in the cache when it is tallied.
const BUFFER: usize = 1 << 20;

/// Columns and `inner` of the tallies.
const COLUMNS: [(usize, usize); 7] = [(1, 1), (2, 1), (8, 1), (10, 1), (64, 1), (1000, 1), (3, 1024)];

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
        tallies(&mut criterion, &data);
        criterion.final_summary();
    }
    table(&data);
    tally_table(&data);
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
    group.bench_function("read", |b| b.iter(|| read(black_box(&data.singles))));
    group.bench_function("summarize f32", |b| b.iter(|| summarize(black_box(&data.singles))));
    group.bench_function("summarize f64", |b| b.iter(|| summarize(black_box(&data.doubles))));
    group.bench_function("summarize f16", |b| b.iter(|| summarize(black_box(&data.halves))));
    group.bench_function("summarize bf16", |b| b.iter(|| summarize(black_box(&data.brains))));
    group.bench_function("range f32", |b| b.iter(|| range(black_box(&data.singles))));
    group.bench_function("range f16", |b| b.iter(|| range(black_box(&data.halves))));
    group.bench_function("histogram f32", |b| {
        b.iter(|| ExponentHistogram::of(black_box(&data.singles), MantissaBits::Three))
    });
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

fn tallies(criterion: &mut Criterion, data: &Data) {
    fn each<T: Element>(criterion: &mut Criterion, name: &str, data: &[T]) {
        let buffer = &data[..BUFFER / size_of::<T>()];
        let mut group = criterion.benchmark_group(format!("tally {name}"));
        group.measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(200));
        group.throughput(Throughput::Bytes(BUFFER as u64));
        for (columns, inner) in COLUMNS {
            let mut tallies = vec![Tally::new(); columns];
            group.bench_function(format!("{columns} x {inner}"), |b| {
                b.iter(|| tally_columns(black_box(buffer), 0, inner, &mut tallies))
            });
        }
        group.finish();
    }
    each(criterion, "f32", &data.singles);
    each(criterion, "f64", &data.doubles);
}

struct Row<'a> {
    name: &'static str,
    target: Option<f64>,
    /// A plain read of the same memory, which may lie better or worse than that of another row.
    read: Box<dyn Fn() -> Duration + 'a>,
    run: Box<dyn Fn() -> Duration + 'a>,
    fastest_read: Duration,
    fastest: Duration,
}

fn table(data: &Data) {
    let Data { singles, doubles, halves, brains } = data;
    let row = |name, target, read, run| Row {
        name,
        target,
        read,
        run,
        fastest_read: Duration::MAX,
        fastest: Duration::MAX,
    };
    let mut rows = [
        row("summarize f32", Some(0.85), timed(|| read(singles)), timed(|| summarize(singles))),
        row(
            "summarize f32, 2 threads",
            Some(0.85),
            timed(|| read_on_two(singles)),
            timed(|| summarize_parallel(singles, 2)),
        ),
        row("summarize f64", None, timed(|| read(doubles)), timed(|| summarize(doubles))),
        row("summarize f16", Some(0.5), timed(|| read(halves)), timed(|| summarize(halves))),
        row("summarize bf16", Some(0.5), timed(|| read(brains)), timed(|| summarize(brains))),
        row("range f32", None, timed(|| read(singles)), timed(|| range(singles))),
        row("range f16", None, timed(|| read(halves)), timed(|| range(halves))),
    ];
    for _ in 0..ROUNDS {
        for row in &mut rows {
            row.fastest_read = row.fastest_read.min((row.read)());
            row.fastest = row.fastest.min((row.run)());
        }
    }

    println!("\n{:<26}{:>10}{:>10}{:>9}{:>9}", "256 MiB", "read GB/s", "pass GB/s", "ratio", "target");
    for row in &rows {
        let speed = |time: Duration| BYTES as f64 / time.as_secs_f64() / 1e9;
        let (read, pass) = (speed(row.fastest_read), speed(row.fastest));
        let target = row.target.map_or(String::new(), |target| format!("{:.0} %", 100.0 * target));
        println!("{:<26}{read:>10.1}{pass:>10.1}{:>7.0} %{target:>9}", row.name, 100.0 * pass / read);
    }
    let ours = rows[0].fastest;
    match numpy() {
        Ok(theirs) => {
            println!("{:<46}{:>8.1}x{:>9}", "numpy f32, same figures", theirs.div_duration_f64(ours), "15x")
        }
        Err(reason) => println!("numpy f32: not measured: {reason}"),
    }

    println!("\n{:<26}{:>8}{:>12}", "small f32", "range", "summarize");
    for len in [1, 16, 128, 1024, 4096, 65536] {
        let part = &data.singles[..len];
        let range_ns = each_ns(|| range(black_box(part)));
        let summarize_ns = each_ns(|| summarize(black_box(part)));
        println!("{:<26}{range_ns:>5.0} ns{summarize_ns:>9.0} ns", format!("{len} elements"));
    }
}

/// Bandwidth of the tallies in GB/s, of the fastest of many calls.
fn tally_table(data: &Data) {
    fn speed<T: Element>(data: &[T], columns: usize, inner: usize) -> f64 {
        let buffer = &data[..BUFFER / size_of::<T>()];
        let mut tallies = vec![Tally::new(); columns];
        let mut once = || {
            let start = Instant::now();
            tally_columns(black_box(buffer), 0, inner, &mut tallies);
            start.elapsed()
        };
        let fastest = (0..2000).map(|_| once()).min().unwrap_or_default();
        BUFFER as f64 / fastest.as_secs_f64() / 1e9
    }
    println!("\n{:<26}{:>8}{:>8}{:>8}{:>8}", "tally of 1 MiB, GB/s", "f32", "f64", "f16", "bf16");
    for (columns, inner) in COLUMNS {
        let speeds = [
            speed(&data.singles, columns, inner),
            speed(&data.doubles, columns, inner),
            speed(&data.halves, columns, inner),
            speed(&data.brains, columns, inner),
        ];
        print!("{:<26}", format!("{columns} columns by {inner}"));
        println!("{}", speeds.map(|speed| format!("{speed:>8.1}")).concat());
    }
}

fn timed<'a, R>(run: impl Fn() -> R + 'a) -> Box<dyn Fn() -> Duration + 'a> {
    Box::new(move || {
        let start = Instant::now();
        black_box(run());
        start.elapsed()
    })
}

fn read_on_two(data: &[f32]) {
    let (left, right) = data.split_at(data.len() / 2);
    thread::scope(|scope| {
        let other = scope.spawn(|| read(left));
        black_box(read(right));
        black_box(other.join().ok());
    });
}

fn each_ns<R>(run: impl Fn() -> R) -> f64 {
    let once = || {
        let start = Instant::now();
        (0..100).for_each(|_| drop(black_box(run())));
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

/// The fastest plain read: a wrapping sum of the bytes as 64-bit integers, compiled for what the
/// processor has.
mod reference {
    use std::sync::OnceLock;
    use std::time::Instant;

    type Read = fn(&[u64]) -> u64;

    pub fn read<T>(data: &[T]) -> u64 {
        static FASTEST: OnceLock<Read> = OnceLock::new();
        // SAFETY: the elements are floats, and any bytes of them are an integer.
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
