//! An image that cannot be decoded to its end.

check!(UnreadableImage, Error, "unreadable-image", "image cannot be read", "images cannot be read");
