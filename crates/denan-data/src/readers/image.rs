//! An image: decoded whole, each channel a column of its levels.

use super::Piece;
use super::npy::Only;
use crate::columns::{Gather, Schema, Shape};
use crate::image_file::is_decoded;
use crate::listing::DataFile;
use crate::picture::{self, Levels};
use std::path::Path;
use std::sync::Arc;

/// An image file larger than this is none that a training loads.
const MOST_BYTES: u64 = 1 << 30;

/// Reads an image file.
pub(crate) fn open(path: &Path, file: &DataFile) -> Only {
    let (path, file) = (path.to_owned(), file.clone());
    let piece: Piece = Box::new(move |to| {
        if !is_decoded(&path) {
            to.unread("images of this format".to_owned());
            return Ok(());
        }
        if file.bytes > MOST_BYTES {
            return Err(format!("it has {} bytes", file.bytes));
        }
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        gather(to, &file.group, &bytes, None);
        Ok(())
    });
    Only(Some(piece))
}

/// Takes an image in, which is a file or the member of one, by its name and the number of its sample; one that cannot be decoded is told.
pub(crate) fn gather(to: &mut Gather<'_>, group: &str, bytes: &[u8], member: Option<(&str, u64)>) {
    match picture::decode(bytes) {
        Ok(picture) => {
            let mode = picture.mode;
            let columns = mode.channels().iter().map(|channel| (*channel).to_owned()).collect();
            let schema =
                Schema { group: group.to_owned(), name: mode.to_string(), columns, shape: Shape::Image };
            // One that is the same all over is a mask of nothing.
            let is_plain = picture.channels.iter().all(Levels::are_one);
            let id = to.image(&Arc::new(schema), picture.channels);
            if !is_plain {
                to.sample(id, member.map(|(_, sample)| sample), picture.hash);
            }
        }
        Err(message) => {
            let name = member.map(|(member, _)| format!("{member}: ")).unwrap_or_default();
            to.note("unreadable-image", format!("{name}{message}"));
        }
    }
}
