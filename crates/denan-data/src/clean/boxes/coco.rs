//! COCO: elements of `annotations` are cut, numbers in their `bbox` and `area` replaced.
//!
//! The file is streamed; only the members of annotations that change are looked at. Where it is no JSON any more, the rest
//! is copied.

use super::{Edit, Repair, Repairs, edited, number, without_noise};
use std::io::{self, BufRead, Write};
use std::ops::Range;

/// Writes the file with its repairs, and returns how many of these there were.
pub(super) fn write(from: impl BufRead, out: &mut dyn Write, repairs: &Repairs) -> io::Result<usize> {
    let mut json = Json { from, at: 0 };
    let mut annotations = Annotations { repairs, index: 0, done: 0 };
    json.byte_order_mark(out)?;
    if json.space(out)? == Some(b'{') {
        json.byte(out)?;
        while json.space(out)? == Some(b'"') {
            let Some(key) = json.key(out)? else { break };
            let next = json.space(out)?;
            if key == "annotations" && next == Some(b'[') {
                annotations.write(&mut json, out)?;
            } else {
                json.value(out)?;
            }
            if json.space(out)? != Some(b',') {
                break;
            }
            json.byte(out)?;
        }
    }
    io::copy(&mut json.from, out)?;
    Ok(annotations.done)
}

/// The annotations that are gone through.
struct Annotations<'a> {
    repairs: &'a Repairs,
    /// That of the next one.
    index: u64,
    done: usize,
}

impl Annotations<'_> {
    /// Writes a list of them, whose bracket comes next.
    fn write<R: BufRead>(&mut self, json: &mut Json<R>, out: &mut dyn Write) -> io::Result<()> {
        json.byte(out)?;
        let (mut raw, mut behind) = (Vec::new(), Vec::new());
        // What stands between the last one that stays and the next.
        let mut gap = Vec::new();
        loop {
            raw.clear();
            behind.clear();
            if json.space(&mut raw)? == Some(b']') {
                gap.append(&mut raw);
                break;
            }
            let start = raw.len();
            json.value(&mut raw)?;
            let has_next = json.space(&mut behind)? == Some(b',');
            if has_next {
                json.byte(&mut behind)?;
            }
            let repair = self.repairs.get(&self.index);
            self.index += 1;
            self.done += usize::from(repair.is_some());
            let stays = repair.is_none_or(|repair| repair.after.is_some());
            if stays {
                out.write_all(&gap)?;
                out.write_all(&raw[..start])?;
                let edits = repair.map_or(Ok(Vec::new()), |repair| edits(&raw[start..], repair))?;
                out.write_all(&edited(&raw[start..], edits))?;
            }
            if stays || !has_next {
                std::mem::swap(&mut gap, &mut behind);
            }
            if !has_next {
                break;
            }
        }
        out.write_all(&gap)?;
        if json.next()? == Some(b']') {
            json.byte(out)?;
        }
        Ok(())
    }
}

/// The changes of an annotation.
fn edits(raw: &[u8], repair: &Repair) -> io::Result<Vec<Edit>> {
    let mut edits = Vec::new();
    let members = members(raw)?;
    let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, at)| at.clone());
    let (Some(bbox), Some(after)) = (member("bbox"), &repair.after) else { return Ok(edits) };
    let numbers = elements(&raw[bbox.clone()])?;
    let text = |at: Range<usize>| str::from_utf8(&raw[at]).unwrap_or_default();
    let numbers: Vec<Range<usize>> =
        numbers.into_iter().map(|at| bbox.start + at.start..bbox.start + at.end).collect();
    let old: Vec<f64> = numbers.iter().filter_map(|at| text(at.clone()).parse().ok()).collect();
    let [x, y, width, height] = old[..] else { return Ok(edits) };
    let mut new = [x, y, width, height];
    for axis in repair.moved(after) {
        [new[axis], new[axis + 2]] = repair.numbers.of(after, axis);
    }
    for (at, (old, new)) in numbers.into_iter().zip(old.iter().zip(new)) {
        if *old != new {
            edits.push((at.clone(), number(text(at), new)));
        }
    }
    let is_of_mask = member("segmentation").is_some_and(|at| has_anything(&raw[at]));
    if let Some(at) = member("area").filter(|_| !is_of_mask) {
        let [area, of_box] = [text(at.clone()).parse().unwrap_or(f64::NAN), width * height];
        if (area - of_box).abs() <= 1e-6 * of_box.abs() {
            edits.push((at.clone(), number(text(at), without_noise(new[2] * new[3], 9))));
        }
    }
    Ok(edits)
}

/// Whether a value is a list or an object that is not empty.
fn has_anything(raw: &[u8]) -> bool {
    !matches!(raw, b"null")
        && raw.iter().any(|byte| !matches!(byte, b'[' | b']' | b'{' | b'}') && !is_space(*byte))
}

/// The keys of an object, and where their values stand.
fn members(raw: &[u8]) -> io::Result<Vec<(String, Range<usize>)>> {
    let mut json = Json { from: raw, at: 0 };
    let mut members = Vec::new();
    // The bracket, then commas.
    json.space(&mut io::sink())?;
    while json.byte(&mut io::sink())? && json.space(&mut io::sink())? == Some(b'"') {
        let Some(key) = json.key(&mut io::sink())? else { break };
        json.space(&mut io::sink())?;
        let start = json.at;
        json.value(&mut io::sink())?;
        members.push((key, start..json.at));
        json.space(&mut io::sink())?;
    }
    Ok(members)
}

/// Where the elements of a list stand.
fn elements(raw: &[u8]) -> io::Result<Vec<Range<usize>>> {
    let mut json = Json { from: raw, at: 0 };
    let mut elements = Vec::new();
    while json.byte(&mut io::sink())? {
        json.space(&mut io::sink())?;
        let start = json.at;
        json.value(&mut io::sink())?;
        if json.at > start {
            elements.push(start..json.at);
        }
        json.space(&mut io::sink())?;
    }
    Ok(elements)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// JSON, or what Python takes for it, that is gone through; what it goes over is written.
struct Json<R> {
    from: R,
    /// Bytes that it has gone over.
    at: usize,
}

impl<R: BufRead> Json<R> {
    fn next(&mut self) -> io::Result<Option<u8>> {
        Ok(self.from.fill_buf()?.first().copied())
    }

    /// Goes over a byte; whether there was one.
    fn byte(&mut self, out: &mut dyn Write) -> io::Result<bool> {
        let Some(byte) = self.next()? else { return Ok(false) };
        out.write_all(&[byte])?;
        self.from.consume(1);
        self.at += 1;
        Ok(true)
    }

    fn byte_order_mark(&mut self, out: &mut dyn Write) -> io::Result<()> {
        while matches!(self.next()?, Some(0xef | 0xbb | 0xbf)) {
            self.byte(out)?;
        }
        Ok(())
    }

    /// Goes over white space, and returns what comes then.
    fn space(&mut self, out: &mut dyn Write) -> io::Result<Option<u8>> {
        loop {
            match self.next()? {
                Some(byte) if is_space(byte) => self.byte(out)?,
                next => return Ok(next),
            };
        }
    }

    /// Goes over a key and its colon; `None` if it is none.
    fn key(&mut self, out: &mut dyn Write) -> io::Result<Option<String>> {
        let mut raw = Vec::new();
        self.value(&mut raw)?;
        out.write_all(&raw)?;
        if self.space(out)? != Some(b':') {
            return Ok(None);
        }
        self.byte(out)?;
        Ok(serde_json::from_slice(&raw).ok())
    }

    /// Goes over a value: to the end of a string, to the bracket that closes it, or to what follows a number.
    fn value(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut depth = 0u64;
        let (mut in_string, mut is_escaped) = (false, false);
        loop {
            let bytes = self.from.fill_buf()?;
            let mut used = 0;
            let mut is_over = bytes.is_empty();
            for byte in bytes {
                match byte {
                    _ if is_escaped => is_escaped = false,
                    b'\\' if in_string => is_escaped = true,
                    b'"' => {
                        in_string = !in_string;
                        is_over = !in_string && depth == 0;
                    }
                    _ if in_string => {}
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => {
                        is_over = true;
                        break;
                    }
                    b'}' | b']' => {
                        depth -= 1;
                        is_over = depth == 0;
                    }
                    _ => {}
                }
                used += 1;
                if is_over {
                    break;
                }
            }
            out.write_all(&bytes[..used])?;
            self.from.consume(used);
            self.at += used;
            if is_over {
                return Ok(());
            }
        }
    }
}
