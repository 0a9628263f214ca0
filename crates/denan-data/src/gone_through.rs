//! Goes through the files of a data set on all cores, and joins what is known of their pieces.

use crate::columns::{AllBars, Gather, Options, Part, Tree};
use crate::guarded::guarded;
use crate::listing::DataFile;
use crate::readers::{self, Piece, Reader};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One of several equal shares of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// From 0 on.
    pub number: u64,
    /// How many there are.
    pub count: u64,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { number: 0, count: 1 };
}

/// What is known of those pieces of files that have been gone through.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct GoneThrough {
    /// Files of which all pieces have been.
    whole: Tree<Part>,
    /// Others.
    begun: BTreeMap<u32, Begun>,
}

/// A file of which some pieces have been gone through.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Begun {
    pieces: Tree<Part>,
    done: u64,
    /// How many there are, once that is known.
    count: Option<u64>,
}

impl GoneThrough {
    /// Goes through the share of a shard. `progress` is told of bytes as they are done.
    pub(crate) fn of(
        files: &[DataFile],
        options: &Options,
        shard: Shard,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Self {
        let queue = Mutex::new(Queue {
            files,
            options,
            shard,
            total: files.iter().map(|file| file.bytes).sum(),
            next: 0,
            before: 0,
            open: None,
        });
        let gone = Mutex::new(Self::default());
        let bars = AllBars::default();
        // The lock is not held while a piece is gone through.
        let pull = || locked(&queue).pull();
        let work = || {
            while let Some(Work { file, number, piece, bytes, last }) = pull() {
                let anew = || Gather::new(options, &bars, file, &files[file as usize]);
                let part = gather(&anew, piece);
                if let Some(part) = &part {
                    bars.raise(part);
                }
                locked(&gone).put(file, number, part, last, options.most_listed, &bars);
                progress(bytes);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        gone.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(
        &mut self,
        file: u32,
        number: u64,
        part: Option<Part>,
        count: Option<u64>,
        most_listed: u64,
        bars: &AllBars,
    ) {
        let begun = self.begun.entry(file).or_default();
        if let Some(part) = part {
            begun.done += 1;
            begun.pieces.put(number, part, &mut |left, right| {
                left.join(right, true, most_listed);
                bars.raise(left);
            });
        }
        begun.count = begun.count.or(count);
        self.close(file, most_listed);
    }

    /// Takes a file among the whole ones if it is.
    fn close(&mut self, file: u32, most_listed: u64) {
        let Some(begun) = self.begun.get(&file).filter(|begun| begun.count == Some(begun.done)) else {
            return;
        };
        let count = begun.done;
        let Some(begun) = self.begun.remove(&file) else { return };
        let part = begun.pieces.whole(count, &mut |left, right| left.join(right, true, most_listed));
        let part = part.ok().flatten().unwrap_or_default();
        self.whole.put(file.into(), part, &mut |left, right| left.join(right, false, most_listed));
    }

    /// Takes in what another shard has gone through.
    pub(crate) fn take(&mut self, other: Self, most_listed: u64) {
        self.whole.take(other.whole, &mut |left, right| left.join(right, false, most_listed));
        for (file, begun) in other.begun {
            let own = self.begun.entry(file).or_default();
            own.pieces.take(begun.pieces, &mut |left, right| left.join(right, true, most_listed));
            own.done += begun.done;
            own.count = own.count.or(begun.count);
            self.close(file, most_listed);
        }
    }

    /// All of so many files; or the position of one that has not wholly been gone through.
    pub(crate) fn whole(self, files: usize, most_listed: u64) -> Result<Part, usize> {
        let whole = self.whole.whole(files as u64, &mut |left, right| left.join(right, false, most_listed));
        whole.map(Option::unwrap_or_default).map_err(|missing| missing as usize)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a piece holds; nothing where there was none.
fn gather<'a>(anew: &dyn Fn() -> Gather<'a>, piece: Option<Piece>) -> Option<Part> {
    let piece = piece?;
    // A decoder that panics on some bytes ends the reading of these, and of nothing else.
    let gone = guarded(|| {
        let mut to = anew();
        if let Err(message) = piece(&mut to) {
            to.note("unreadable-file", message);
        }
        Ok(to.finish())
    });
    Some(gone.unwrap_or_else(|message| {
        let mut to = anew();
        to.note("unreadable-file", message);
        to.finish()
    }))
}

/// The pieces that are still to be gone through.
struct Queue<'a> {
    files: &'a [DataFile],
    options: &'a Options,
    shard: Shard,
    /// Bytes of all files.
    total: u64,
    /// The next file, and the bytes of those before it.
    next: usize,
    before: u64,
    open: Option<Open>,
}

/// The file that is read.
struct Open {
    file: u32,
    reader: Box<dyn Reader>,
    number: u64,
    /// The piece before which the shard ends, and how many the file has.
    end: Option<u64>,
    count: Option<u64>,
    bytes: u64,
}

/// A piece to be gone through; none where it is only to be said how many pieces the file has had.
struct Work {
    file: u32,
    number: u64,
    piece: Option<Piece>,
    bytes: u64,
    last: Option<u64>,
}

impl Queue<'_> {
    fn pull(&mut self) -> Option<Work> {
        loop {
            if let Some(open) = &mut self.open {
                let Open { file, number, count, bytes, .. } = *open;
                if open.end.is_some_and(|end| number >= end) {
                    self.open = None;
                    continue;
                }
                let each = count.map_or(0, |count| bytes / count.max(1));
                // Those that decode as they cut may panic as well.
                match guarded(|| open.reader.next()) {
                    Ok(Some(piece)) => {
                        open.number += 1;
                        return Some(Work { file, number, piece: Some(piece), bytes: each, last: count });
                    }
                    Ok(None) => {
                        self.open = None;
                        let bytes = if count.is_some() { 0 } else { bytes };
                        return Some(Work { file, number, piece: None, bytes, last: Some(number) });
                    }
                    Err(message) => {
                        self.open = None;
                        return Some(Work {
                            file,
                            number,
                            piece: Some(Box::new(move |_| Err(message))),
                            bytes: 0,
                            last: Some(number + 1),
                        });
                    }
                }
            }
            let file = self.files.get(self.next)?;
            let begin = self.before;
            let number = self.next as u32;
            self.next += 1;
            self.before += file.bytes;
            if let Some(work) = self.begin(number, file, begin) {
                return Some(work);
            }
        }
    }

    /// Opens a file of which the shard has a share.
    fn begin(&mut self, number: u32, file: &DataFile, begin: u64) -> Option<Work> {
        let share =
            |number: u64| (u128::from(self.total) * u128::from(number) / u128::from(self.shard.count)) as u64;
        let own = share(self.shard.number)..share(self.shard.number + 1);
        // Files without bytes at the very end are the last shard's.
        let is_last = self.shard.number + 1 == self.shard.count;
        let has = |at: u64| own.contains(&at) || (is_last && at >= own.end);
        let end = begin + file.bytes;
        if !has(begin) && (end <= own.start || begin >= own.end) {
            return None;
        }
        let mut reader = match guarded(|| readers::open(file, self.options.axis)) {
            Ok(reader) => reader,
            Err(message) => {
                let piece: Piece = Box::new(move |_| Err(message));
                return has(begin).then(|| Work {
                    file: number,
                    number: 0,
                    piece: Some(piece),
                    bytes: file.bytes,
                    last: Some(1),
                });
            }
        };
        let count = reader.pieces();
        let place = |piece: u64, count: u64| {
            begin + (u128::from(file.bytes) * u128::from(piece) / u128::from(count.max(1))) as u64
        };
        let (first, end) = match count {
            Some(count) => {
                let first = (0..count).find(|piece| has(place(*piece, count)));
                let Some(first) = first else {
                    // A file without pieces is no less of the set.
                    return (count == 0 && has(begin)).then_some(Work {
                        file: number,
                        number: 0,
                        piece: None,
                        bytes: file.bytes,
                        last: Some(0),
                    });
                };
                let end = (first..count).find(|piece| !has(place(*piece, count))).unwrap_or(count);
                (first, Some(end))
            }
            None if has(begin) => (0, None),
            None => return None,
        };
        reader.skip(first);
        self.open = Some(Open { file: number, reader, number: first, end, count, bytes: file.bytes });
        None
    }
}
