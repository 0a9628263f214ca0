//! A label file as text, within bounds.

use super::Problem;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest XML or YOLO file that is read, in bytes. One file describes one image.
const MOST_BYTES: u64 = 64 << 20;
/// Largest list of class names that is read, in bytes.
const MOST_BYTES_OF_NAMES: u64 = 4 << 20;

/// A file's text, and what was wrong with its bytes.
pub(super) struct Text {
    /// Without byte order mark; bytes that are not UTF-8 are replaced.
    pub text: String,
    pub problem: Option<Problem>,
}

/// Reads a file of labels.
pub(super) fn read(file: &Path) -> Result<Text, Problem> {
    read_at_most(file, MOST_BYTES)
}

/// Reads a file of class names.
pub(super) fn read_names(file: &Path) -> Result<Text, Problem> {
    read_at_most(file, MOST_BYTES_OF_NAMES)
}

fn read_at_most(file: &Path, most_bytes: u64) -> Result<Text, Problem> {
    let bytes = bytes(file, most_bytes)
        .map_err(|error| Problem::of_file(file, format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > most_bytes {
        return Err(Problem::of_file(
            file,
            format!("is not read: it is larger than {} MiB", most_bytes >> 20),
        ));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Problem::of_file(file, "is not read: its encoding is UTF-16; save it as UTF-8"));
    }
    let (mut text, problem) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        // Names in an older encoding (Latin-1, GBK) leave the numbers readable.
        Err(error) => {
            let problem = Problem::of_file(file, "is not UTF-8; what is not was replaced, save it as UTF-8");
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(problem))
        }
    };
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(Text { text, problem })
}

fn bytes(file: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(most_bytes + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], text: Result<&str, &str>, is_whole: bool) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.xml");
        std::fs::write(&file, bytes).unwrap();
        match (read_at_most(&file, 8), text) {
            (Ok(read), Ok(text)) => assert_eq!((&*read.text, read.problem.is_none()), (text, is_whole)),
            (Err(problem), Err(message)) => assert!(problem.message.contains(message), "{problem}"),
            (read, _) => panic!("{:?}", read.map(|read| read.text)),
        }
    }

    #[test]
    fn text_is_read_whatever_its_encoding() {
        check(b"12345678", Ok("12345678"), true);
        check(b"\xef\xbb\xbfabc", Ok("abc"), true);
        check(b"a\xe9b", Ok("a\u{fffd}b"), false);
        check(b"\xff\xfea\0", Err("UTF-16"), false);
    }

    #[test]
    fn a_file_beyond_the_bound_is_not_read() {
        check(b"123456789", Err("larger than"), false);
    }
}
