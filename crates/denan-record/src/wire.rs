//! How events travel: a length of four bytes, little endian, then the event in postcard encoding.

use crate::event::Event;
use std::io::{self, Read, Write};

/// Largest event that is read; a larger length means that the stream is not ours.
const LARGEST_EVENT_BYTES: u32 = 128 << 20;

/// Why an event could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection failed.
    #[error("the connection to the training failed: {0}")]
    Io(#[from] io::Error),
    /// The bytes are not an event.
    #[error("what the training sent is no event of this version: {0}")]
    Encoding(#[from] postcard::Error),
    /// The length before the event is absurd.
    #[error("what the training sent is no event: length {0}")]
    Length(u32),
}

/// Sends one event.
///
/// # Errors
/// [`WireError::Io`] if the other side is gone.
pub fn send(mut to: impl Write, event: &Event) -> Result<(), WireError> {
    let bytes = postcard::to_stdvec(event)?;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if length > LARGEST_EVENT_BYTES {
        return Err(WireError::Length(length));
    }
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&bytes)?;
    Ok(())
}

/// Receives one event; `None` at the end of the stream, also if it ends within an event
/// (a killed training leaves half an event behind).
///
/// # Errors
/// The connection failed or the bytes are not an event.
pub fn receive(mut from: impl Read) -> Result<Option<Event>, WireError> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let length = u32::from_le_bytes(length);
    if length > LARGEST_EVENT_BYTES {
        return Err(WireError::Length(length));
    }
    let mut bytes = vec![0; length as usize];
    match from.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(postcard::from_bytes(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Step;

    #[test]
    fn an_event_survives_the_wire_and_a_cut_stream_ends_quietly() {
        let event = Event::Step(Step { step: 7, loss: Some(f64::INFINITY), ..Step::default() });
        let mut bytes = Vec::new();
        send(&mut bytes, &event).unwrap();
        assert_eq!(receive(&bytes[..]).unwrap(), Some(event));
        for cut in 0..bytes.len() {
            assert_eq!(receive(&bytes[..cut]).unwrap(), None);
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert!(matches!(receive(&[0xff; 16][..]), Err(WireError::Length(_))));
        assert!(matches!(receive(&[1, 0, 0, 0, 0xee][..]), Err(WireError::Encoding(_))));
    }
}
