//! Data sets and batchers whose samples denan knows by name.
//!
//! ```
//! use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
//! use burn::data::dataset::InMemDataset;
//! use burn::tensor::{Device, Tensor};
//! use denan_burn::data::{WatchedBatcher, watched};
//!
//! #[derive(Clone, Debug)]
//! struct Item { file: String, value: f32 }
//!
//! struct Mine;
//!
//! impl Batcher<Item, Tensor<1>> for Mine {
//!     fn batch(&self, items: Vec<Item>, device: &Device) -> Tensor<1> {
//!         Tensor::from_floats(items.iter().map(|item| item.value).collect::<Vec<_>>().as_slice(), device)
//!     }
//! }
//!
//! let items = vec![
//!     Item { file: "a.csv".into(), value: 1.0 },
//!     Item { file: "b.csv".into(), value: 2.0 },
//! ];
//! let loader = DataLoaderBuilder::new(WatchedBatcher::new(Mine))
//!     .batch_size(2)
//!     .build(watched(InMemDataset::new(items), |item: &Item| item.file.clone()).without_names(&["a.csv"]));
//! for batch in loader.iter() {
//!     assert_eq!(batch.unwrap().dims(), [1]);
//! }
//! ```

use crate::message;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;
use serde_json::json;
use std::collections::HashSet;
use std::marker::PhantomData;

/// An item of a watched data set.
#[derive(Clone, Debug)]
pub struct Watched<I> {
    item: I,
    index: usize,
    name: String,
    is_left_out: bool,
}

/// A data set whose samples denan knows by index and name.
///
/// Samples that are left out keep their place in the order of the data set, so that all other
/// batches stay what they were; [`WatchedBatcher`] takes them out of their batch.
pub struct WatchedDataset<D, I, N> {
    dataset: D,
    name: N,
    left_out_indices: HashSet<usize>,
    left_out_names: HashSet<String>,
    item: PhantomData<fn() -> I>,
}

/// Watches a data set; `name` says what an item is called, a file name as a rule.
pub fn watched<D, I, N>(dataset: D, name: N) -> WatchedDataset<D, I, N>
where
    D: Dataset<I>,
    N: Fn(&I) -> String + Send + Sync,
{
    WatchedDataset {
        dataset,
        name,
        left_out_indices: asked_to_leave_out(),
        left_out_names: HashSet::new(),
        item: PhantomData,
    }
}

/// The most samples of a batch in an experiment with smaller ones.
fn asked_batch_size() -> usize {
    let intervention = message::plan().map(|plan| &plan["intervention"]);
    let size = intervention
        .filter(|intervention| intervention["id"] == "smaller-batch")
        .and_then(|intervention| intervention["size"].as_u64());
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX)
}

/// The samples that denan leaves out in an experiment.
fn asked_to_leave_out() -> HashSet<usize> {
    let intervention = message::plan().map(|plan| &plan["intervention"]);
    let indices = intervention
        .filter(|intervention| intervention["id"] == "drop-samples")
        .and_then(|intervention| intervention["indices"].as_array());
    indices.into_iter().flatten().filter_map(|index| index.as_u64()).map(|index| index as usize).collect()
}

impl<D, I, N> WatchedDataset<D, I, N> {
    /// Leaves out the samples with these names.
    #[must_use]
    pub fn without_names(mut self, names: &[&str]) -> Self {
        self.left_out_names.extend(names.iter().map(|&name| name.to_owned()));
        self
    }
}

impl<D, I, N> Dataset<Watched<I>> for WatchedDataset<D, I, N>
where
    D: Dataset<I>,
    I: Send + Sync,
    N: Fn(&I) -> String + Send + Sync,
{
    fn get(&self, index: usize) -> Result<Watched<I>, DatasetError> {
        let item = self.dataset.get(index)?;
        let name = (self.name)(&item);
        let is_left_out = self.left_out_indices.contains(&index) || self.left_out_names.contains(&name);
        Ok(Watched { item, index, name, is_left_out })
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }
}

/// A batcher for a watched data set, around the batcher for the plain one.
#[derive(Clone, Debug)]
pub struct WatchedBatcher<B> {
    batcher: B,
    /// Samples that a batch keeps: all of them, unless denan tries smaller batches.
    most: usize,
}

impl<B> WatchedBatcher<B> {
    /// Batches with `batcher`.
    pub fn new(batcher: B) -> Self {
        Self { batcher, most: asked_batch_size() }
    }
}

impl<B, I, O> Batcher<Watched<I>, O> for WatchedBatcher<B>
where
    B: Batcher<I, O>,
    I: Send + Sync,
{
    fn batch(&self, items: Vec<Watched<I>>, device: &Device) -> O {
        // A batch of nothing but left-out samples has to stay: burn has no way to skip one.
        let keeps_all = items.iter().all(|item| item.is_left_out);
        let items: Vec<Watched<I>> =
            items.into_iter().filter(|item| keeps_all || !item.is_left_out).take(self.most).collect();
        let samples: Vec<_> =
            items.iter().map(|item| json!({ "index": item.index, "name": item.name })).collect();
        message::tell(device, &json!({ "batch": samples }));
        self.batcher.batch(items.into_iter().map(|item| item.item).collect(), device)
    }
}
