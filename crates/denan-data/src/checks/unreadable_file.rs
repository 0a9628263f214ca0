//! A file that cannot be read, wholly or from some place on.

check!(UnreadableFile, Error, "unreadable-file", "file cannot be read", "files cannot be read");
