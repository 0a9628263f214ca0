//! What a program tells the device through its own tensors.
//!
//! A program may name its parameters and the samples of its batches (crate `denan-burn`). It
//! cannot call the device directly: the two are built from different packages. So it makes a
//! small integer tensor that holds a message, which any device accepts and this one reads.

use burn_backend::{DType, TensorData};
use denan_record::model::Sample;

/// First integers of every message: "denan" and the version of the format.
pub const MAGIC: [i32; 3] = [0x6465_6e61, 0x6e00_0000, 1];

/// A message from the program.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Float tensors made on this thread from now on are data of this batch.
    Batch(Vec<Sample>),
    /// The tensor of the next operation on this thread is this parameter.
    Parameter(String),
}

/// Reads a message, if the data is one.
pub fn read(data: &TensorData) -> Option<Message> {
    if data.dtype() != DType::I32 && data.dtype() != DType::I64 {
        return None;
    }
    let mut integers = data.iter::<i64>();
    for expected in MAGIC {
        if integers.next()? != i64::from(expected) {
            return None;
        }
    }
    let length = usize::try_from(integers.next()?).ok()?;
    let mut bytes = Vec::with_capacity(length);
    for word in integers {
        bytes.extend((word as i32).to_le_bytes());
    }
    bytes.truncate(length);
    parse(&serde_json::from_slice(&bytes).ok()?)
}

fn parse(value: &serde_json::Value) -> Option<Message> {
    if let Some(name) = value.get("parameter") {
        return Some(Message::Parameter(name.as_str()?.to_owned()));
    }
    let samples = value.get("batch")?.as_array()?.iter().map(|sample| {
        Some(Sample {
            index: sample.get("index")?.as_u64()?,
            name: sample.get("name").and_then(|name| name.as_str()).map(str::to_owned),
        })
    });
    samples.collect::<Option<_>>().map(Message::Batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str) -> TensorData {
        let mut integers = MAGIC.to_vec();
        integers.push(text.len() as i32);
        integers.extend(text.as_bytes().chunks(4).map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            i32::from_le_bytes(word)
        }));
        let length = integers.len();
        TensorData::new(integers, [length])
    }

    #[test]
    fn messages_are_read_and_other_data_is_left_alone() {
        assert_eq!(
            read(&encode(r#"{"batch":[{"index":3,"name":"a.xml"},{"index":4}]}"#)),
            Some(Message::Batch(vec![
                Sample { index: 3, name: Some("a.xml".to_owned()) },
                Sample { index: 4, name: None }
            ]))
        );
        assert_eq!(
            read(&encode(r#"{"parameter":"a.weight"}"#)),
            Some(Message::Parameter("a.weight".to_owned()))
        );
        assert_eq!(read(&TensorData::new(vec![1_i32, 2, 3, 4, 5], [5])), None);
        assert_eq!(read(&encode("not json")), None);
    }
}
