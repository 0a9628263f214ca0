//! Summaries of slices, on one thread or several.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use half::{bf16, f16};

use crate::element::Element;
use crate::isa::Level;
use crate::kernel::CHUNK;
use crate::range::{Extent, Range};
use crate::summary::Summary;

/// Summary of a slice, in one pass.
#[inline]
pub fn summarize<T: Element>(data: &[T]) -> Summary {
    summarize_at(Level::best(), data)
}

/// Summary of a slice of `f32`, in one pass.
pub fn summarize_f32(data: &[f32]) -> Summary {
    summarize(data)
}

/// Summary of a slice of `f64`, in one pass.
pub fn summarize_f64(data: &[f64]) -> Summary {
    summarize(data)
}

/// Summary of a slice of `f16`, in one pass.
pub fn summarize_f16(data: &[f16]) -> Summary {
    summarize(data)
}

/// Summary of a slice of `bf16`, in one pass.
pub fn summarize_bf16(data: &[bf16]) -> Summary {
    summarize(data)
}

/// Range of a slice, in one pass.
#[inline]
pub fn range<T: Element>(data: &[T]) -> Range {
    extent(data).range
}

/// Extent of a slice, in one pass.
#[inline]
pub fn extent<T: Element>(data: &[T]) -> Extent {
    let level = Level::best();
    data.chunks(CHUNK).map(|chunk| level.extent(chunk)).collect()
}

/// Summary of a slice on up to `threads` threads, to the last bit that of [`summarize`].
///
/// The calling thread is one of them; 0 counts as 1. Threads are started for this call and end with
/// it.
pub fn summarize_parallel<T: Element>(data: &[T], threads: usize) -> Summary {
    let level = Level::best();
    let chunks = data.len().div_ceil(CHUNK);
    let threads = threads.min(chunks);
    if threads <= 1 {
        return summarize_at(level, data);
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut parts = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= chunks {
                return parts;
            }
            let start = index * CHUNK;
            let end = data.len().min(start + CHUNK);
            parts.push((index, level.summarize(&data[start..end])));
        }
    };
    let mut parts = vec![Summary::EMPTY; chunks];
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut place = |found: Vec<(usize, Summary)>| {
            for (index, part) in found {
                parts[index] = part;
            }
        };
        place(work());
        for other in others {
            match other.join() {
                Ok(found) => place(found),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    // In the order of the chunks, whoever summarized them.
    parts.into_iter().collect()
}

pub(crate) fn summarize_at<T: Element>(level: Level, data: &[T]) -> Summary {
    data.chunks(CHUNK).map(|chunk| level.summarize(chunk)).collect()
}
