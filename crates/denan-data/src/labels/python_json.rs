//! JSON as Python's `json` writes it: with `NaN`, `Infinity` and `-Infinity`, which JSON does not know.

use std::io::{self, BufRead, Read};

/// JSON in which each bare word that begins with `N`, `I` or `-I` stands in quotes, so that any reader of JSON takes it;
/// a byte order mark is left out.
///
/// Lines stay what they were.
pub(crate) struct PythonJson<R> {
    inner: R,
    state: State,
    /// Read and not yet handed on; at most three bytes for each that was read.
    ready: Vec<u8>,
    handed: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Begin,
    Plain,
    String,
    Escape,
    /// After a minus that may belong to a word.
    Minus,
    Word,
}

impl<R: BufRead> PythonJson<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, state: State::Begin, ready: Vec::new(), handed: 0 }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.handed = 0;
        let bytes = self.inner.fill_buf()?;
        let count = bytes.len();
        for byte in bytes {
            self.state = self.state.after(*byte, &mut self.ready);
        }
        if count == 0 {
            // What a cut file leaves open; the parser finds it incomplete.
            match std::mem::replace(&mut self.state, State::Plain) {
                State::Minus => self.ready.push(b'-'),
                State::Word => self.ready.push(b'"'),
                _ => {}
            }
        }
        self.inner.consume(count);
        Ok(())
    }
}

impl State {
    /// The state after a byte; what it means goes to `out`.
    fn after(self, byte: u8, out: &mut Vec<u8>) -> Self {
        match self {
            Self::Begin if matches!(byte, 0xef | 0xbb | 0xbf) => return Self::Begin,
            Self::Begin | Self::Plain => match byte {
                b'-' => return Self::Minus,
                b'N' | b'I' => {
                    out.extend([b'"', byte]);
                    return Self::Word;
                }
                _ => {}
            },
            Self::Minus if byte == b'I' => {
                out.extend(b"\"-I");
                return Self::Word;
            }
            Self::Minus => {
                out.push(b'-');
                return Self::Plain.after(byte, out);
            }
            Self::Word if byte.is_ascii_alphabetic() => {}
            Self::Word => {
                out.push(b'"');
                return Self::Plain.after(byte, out);
            }
            Self::String | Self::Escape => {}
        }
        out.push(byte);
        match (self, byte) {
            (Self::String, b'"') => Self::Plain,
            (Self::String, b'\\') => Self::Escape,
            (Self::String | Self::Escape, _) => Self::String,
            (Self::Word, _) => Self::Word,
            (_, b'"') => Self::String,
            _ => Self::Plain,
        }
    }
}

impl<R: BufRead> Read for PythonJson<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.handed == self.ready.len() {
            self.refill()?;
            // Nothing may be ready after a lone byte such as a minus; the end is when there is nothing to read either.
            if self.ready.is_empty() && self.inner.fill_buf()?.is_empty() && self.state == State::Plain {
                return Ok(0);
            }
        }
        let count = out.len().min(self.ready.len() - self.handed);
        out[..count].copy_from_slice(&self.ready[self.handed..self.handed + count]);
        self.handed += count;
        Ok(count)
    }
}

/// The number that a value of such JSON stands for, infinite where it is too large for an `f64`.
pub(super) fn number(raw: &str) -> Option<f64> {
    match raw {
        "\"NaN\"" => Some(f64::NAN),
        "\"Infinity\"" => Some(f64::INFINITY),
        "\"-Infinity\"" => Some(f64::NEG_INFINITY),
        // Rust takes more words for numbers than JSON does.
        _ if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => raw.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn check(written: &str, read: &str) {
        for capacity in [1, 2, 3, 64] {
            let mut out = String::new();
            PythonJson::new(BufReader::with_capacity(capacity, written.as_bytes()))
                .read_to_string(&mut out)
                .unwrap();
            assert_eq!(out, read, "buffer of {capacity}");
        }
    }

    #[test]
    fn words_of_python_become_strings() {
        check("[NaN, -Infinity,Infinity,-1e-5]", r#"["NaN", "-Infinity","Infinity",-1e-5]"#);
        check("NaN", "\"NaN\"");
        check("-", "-");
        check("", "");
    }

    #[test]
    fn strings_stay_what_they_are() {
        for json in [r#"{"NaN": "-Infinity \" NaN \\", "Name\n": "I"}"#, "\"\\", "\"open NaN"] {
            check(json, json);
        }
    }

    #[test]
    fn a_byte_order_mark_is_left_out() {
        check("\u{feff}{}", "{}");
    }

    #[test]
    fn numbers_are_read_as_written() {
        assert_eq!(number("1e999"), Some(f64::INFINITY));
        assert_eq!(number("-2.5"), Some(-2.5));
        assert!(number("\"NaN\"").unwrap().is_nan());
        assert_eq!(number("\"1\""), None);
        assert_eq!(number("null"), None);
    }
}
