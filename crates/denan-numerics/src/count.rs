//! Counting by leading bits, several values side by side.
//!
//! The entry of a value in a table is its sign, its exponent and the first three bits of its
//! mantissa. A value waits until one of the same entry just before has been counted, which takes
//! several steps of the processor. So neighbours in memory have tables of their own: the columns of
//! a row, or eight values in turn of one column.

use crate::element::Lane;
use crate::histogram::ExponentHistogram;
use crate::isa::patterns;
use crate::kernel::{BLOCK, LANES};

/// Tables of one counter, at most.
pub(crate) const TABLES: usize = 16;

/// Tables among which the values of one column take turns.
pub(crate) const TURNS: usize = 8;

/// Entries between two tables. Without them the same entry of all tables would have to share one
/// set of the nearest cache, and the sixteen do not fit.
const GAP: usize = 96;

/// Entries that are drained together, a cache line.
const LINE: usize = 32;

/// Values that a table takes before it has to be drained.
const ROOM: usize = u16::MAX as usize;

/// Where the values of a block are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// In as many tables as there are turns, from the first on.
    InTurns,
    /// In this table, and perhaps more that follow as often as there are columns.
    Table(usize),
}

/// The tables; every entry is zero between two calls.
pub struct Counter<T: Lane> {
    entries: Vec<u16>,
    /// For each table the pages that may hold something. A page is the entries whose leading bits
    /// agree, as many pages as an element has bits.
    touched: [T::Bits; TABLES],
    room: usize,
}

impl<T: Lane> Counter<T> {
    const ENTRIES: usize = 1 << T::PREFIX_BITS;
    const STRIDE: usize = Self::ENTRIES + GAP;
    /// Columns that are counted together: a cache line of a row, as far as there are tables.
    pub(crate) const COLUMNS: usize = if 64 / size_of::<T>() < TABLES { 64 / size_of::<T>() } else { TABLES };
    const PAGES: usize = 8 * size_of::<T>();

    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), touched: [T::NO_MARKS; TABLES], room: ROOM }
    }

    /// Tables that `width` columns of rows of `stride` values take: several for each, if these are
    /// all there are.
    pub(crate) const fn places(stride: usize, width: usize) -> usize {
        if stride == width { Self::COLUMNS / width * width } else { width }
    }

    /// Makes room for `rows` values in each table, or says that they have to be drained.
    pub(crate) fn reserve(&mut self, rows: usize) -> bool {
        debug_assert!(rows <= BLOCK);
        if self.entries.is_empty() {
            self.entries = vec![0; Self::COLUMNS * Self::STRIDE];
        }
        let fits = rows <= self.room;
        if fits {
            self.room -= rows;
        }
        fits
    }

    /// Counts the first `width` values of every `stride`, each in the table of its place.
    #[inline(never)]
    pub(crate) fn count(&mut self, values: &[T], stride: usize, width: usize) {
        macro_rules! unrolled {
            ($($width:literal)*) => {
                match width {
                    $($width => self.count_rows::<$width>(values, stride),)*
                    _ => unreachable!("more columns than tables"),
                }
            };
        }
        unrolled!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    }

    #[inline(always)]
    fn count_rows<const WIDTH: usize>(&mut self, values: &[T], stride: usize) {
        for row in patterns(values).chunks(stride) {
            match row.first_chunk::<WIDTH>() {
                Some(row) => add::<T, WIDTH>(&mut self.entries, row),
                None => add_some::<T>(&mut self.entries, row),
            }
        }
    }

    /// Counts the values of one column, in turns.
    pub(crate) fn turns(&mut self) -> Turns<'_, T> {
        let entries = &mut self.entries[..TURNS * Self::STRIDE];
        Turns { entries, touched: &mut self.touched[0], marks: T::NO_MARKS }
    }

    /// Notes which pages of a table the values are in.
    #[inline(always)]
    pub(crate) fn touch(&mut self, table: usize, values: &[T]) {
        let marks = patterns(values).iter().fold(T::NO_MARKS, |marks, &bits| T::mark(marks, bits));
        self.touched[table] = T::union(self.touched[table], marks);
    }

    /// Moves what the tables `first`, `first + step` and so on hold of normal numbers into the
    /// histogram of their column. The columns of a counter are drained one after the other.
    pub(crate) fn drain(&mut self, first: usize, step: usize, histogram: &mut ExponentHistogram) {
        self.room = ROOM;
        let page = Self::ENTRIES / Self::PAGES;
        let tables = (first..TABLES).step_by(step);
        let marks: u64 = tables.clone().fold(0, |marks, table| marks | self.touched[table].into());
        for number in (0..Self::PAGES).filter(|number| marks >> number & 1 == 1) {
            for line in (number * page..(number + 1) * page).step_by(LINE) {
                let mut sums = [0u32; LINE];
                let mut is_empty = true;
                for table in tables.clone() {
                    let at = table * Self::STRIDE + line;
                    let Some(entries) = self.entries.get_mut(at..).and_then(<[u16]>::first_chunk_mut) else {
                        break;
                    };
                    if *entries != [0; LINE] {
                        is_empty = false;
                        for (sum, entry) in sums.iter_mut().zip(entries) {
                            *sum += u32::from(std::mem::take(entry));
                        }
                    }
                }
                if !is_empty {
                    histogram.add_prefixes::<T>(line, &sums);
                }
            }
        }
        tables.for_each(|table| self.touched[table] = T::NO_MARKS);
    }
}

/// One more for the entry of each value in the table of its place.
#[inline(always)]
fn add<T: Lane, const WIDTH: usize>(entries: &mut [u16], row: &[T::Bits; WIDTH]) {
    let entries = &mut entries[..WIDTH * Counter::<T>::STRIDE];
    for lane in 0..WIDTH {
        let entry = &mut entries[lane * Counter::<T>::STRIDE + T::prefix(row[lane])];
        *entry = entry.wrapping_add(1);
    }
}

#[inline(always)]
fn add_some<T: Lane>(entries: &mut [u16], row: &[T::Bits]) {
    for (&bits, table) in row.iter().zip(entries.chunks_exact_mut(Counter::<T>::STRIDE)) {
        let entry = &mut table[..Counter::<T>::ENTRIES][T::prefix(bits)];
        *entry = entry.wrapping_add(1);
    }
}

/// What is done with the values of a block while they are summarized.
pub trait Aside<T> {
    fn take(&mut self, values: &[T; 2 * LANES]);
    /// The last values, fewer.
    fn finish(&mut self, values: &[T]);
}

/// Nothing.
impl<T> Aside<T> for () {
    #[inline(always)]
    fn take(&mut self, _: &[T; 2 * LANES]) {}
    #[inline(always)]
    fn finish(&mut self, _: &[T]) {}
}

/// They are counted.
pub(crate) struct Turns<'a, T: Lane> {
    entries: &'a mut [u16],
    touched: &'a mut T::Bits,
    marks: T::Bits,
}

impl<T: Lane> Aside<T> for Turns<'_, T> {
    #[inline(always)]
    fn take(&mut self, values: &[T; 2 * LANES]) {
        let bits = patterns(values);
        self.marks = bits.iter().fold(self.marks, |marks, &bits| T::mark(marks, bits));
        let (rows, _) = bits.as_chunks::<TURNS>();
        rows.iter().for_each(|row| add::<T, TURNS>(self.entries, row));
    }

    #[inline(always)]
    fn finish(&mut self, values: &[T]) {
        let bits = patterns(values);
        self.marks = bits.iter().fold(self.marks, |marks, &bits| T::mark(marks, bits));
        bits.chunks(TURNS).for_each(|row| add_some::<T>(self.entries, row));
        *self.touched = T::union(*self.touched, self.marks);
    }
}
