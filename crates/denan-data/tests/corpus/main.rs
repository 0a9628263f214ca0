//! Dirty data sets with a list of every planted fault, in every format: each is found where it is, and nothing else; in
//! their clean twins nothing is found at all.

mod arrays;
mod columnar;
mod faults;
mod figures;
mod folders;
mod images;
mod make;
mod shards;
mod text;
mod write;
