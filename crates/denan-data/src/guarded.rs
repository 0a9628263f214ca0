//! Decoders of others, whose panics on damaged bytes are errors here.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is in a decoder whose panic is caught and told as a finding, so that a panic hook need not tell it.
pub fn is_guarded() -> bool {
    DEPTH.get() > 0
}

/// What `work` returns, or with what it panicked.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    DEPTH.set(DEPTH.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    done
}

/// What `work` returns, or that it panicked.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    caught(work).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<&str>().map(|why| (*why).to_owned());
        let why = why.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let why: String = why.chars().filter(|char| !char.is_control()).take(200).collect();
        Err(format!("its reader failed ({why}): the file is damaged, or denan has a fault"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_is_known_to_be_caught() {
        assert_eq!(guarded(|| Ok(is_guarded())), Ok(true));
        assert_eq!(guarded(|| Err::<(), _>("short".to_owned())), Err("short".to_owned()));
        let read = guarded(|| {
            let none: &[u8] = &[];
            Ok(none[std::hint::black_box(3)])
        });
        let why = "index out of bounds: the len is 0 but the index is 3";
        assert_eq!(
            read,
            Err(format!("its reader failed ({why}): the file is damaged, or denan has a fault"))
        );
        assert!(!is_guarded());
    }
}
