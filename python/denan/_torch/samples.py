"""Which samples a batch was made of: indices in the user's data set, and names where it has some."""

import os
from collections import deque

import torch
from torch.utils.data import IterableDataset, Subset

# Attributes in which data sets keep a name, or a tuple that begins with one, for each sample.
LISTS = ("samples", "imgs", "images", "files", "filenames", "file_names", "paths", "image_paths", "names", "ids", "keys")
# Keys of an item that say which one it is.
KEYS = ("name", "names", "path", "paths", "file", "files", "filename", "file_name", "key", "__key__", "id", "image_id")


class Batches:
    """The indices that a loader has asked for, in the order in which their batches come."""

    def __init__(self):
        self.asked = deque()
        self.running = 0

    def ask(self, index):
        self.asked.append(index)

    def take(self, dataset, data):
        """Samples of the batch that has just come: a list of (index, name or None)."""
        index = self.asked.popleft() if self.asked else None
        if isinstance(dataset, IterableDataset) or index is None:
            count = batch_size(data)
            numbers = range(self.running, self.running + count)
            self.running += count
            return label([(number, None) for number in numbers], data)
        indices = index if isinstance(index, (list, tuple)) else [index]
        if not all(isinstance(one, int) or hasattr(one, "__index__") for one in indices):
            return label([(number, str(one)) for number, one in enumerate(indices)], data)
        return label([resolve(dataset, int(one)) for one in indices], data)


def resolve(dataset, index):
    """Index and name in the data set that the user made, below any subset of it."""
    while isinstance(dataset, Subset):
        index = int(dataset.indices[index])
        dataset = dataset.dataset
    return index, name_of(dataset, index)


def name_of(dataset, index):
    for attribute in LISTS:
        items = getattr(dataset, attribute, None)
        if not isinstance(items, (list, tuple)) or len(items) <= index:
            continue
        item = items[index]
        if isinstance(item, (tuple, list)) and item:
            item = item[0]
        if isinstance(item, (str, os.PathLike)):
            return os.path.basename(os.fspath(item)) or str(item)
    return None


def label(samples, data):
    """Names out of the batch itself, where its items carry some."""
    if isinstance(data, dict):
        for key in KEYS:
            names = data.get(key)
            if isinstance(names, (list, tuple)) and len(names) == len(samples):
                return [
                    (index, name or (one if isinstance(one, str) else None))
                    for (index, name), one in zip(samples, names)
                ]
    return samples


def batch_size(data):
    for tensor in tensors(data):
        if tensor.dim() > 0:
            return tensor.shape[0]
    return 1


def tensors(data, depth=0):
    """The tensors of a batch, in order."""
    if isinstance(data, torch.Tensor):
        yield data
    elif depth < 4:
        if isinstance(data, dict) or hasattr(data, "items") and callable(data.items):
            for value in data.values():
                yield from tensors(value, depth + 1)
        elif isinstance(data, (list, tuple)):
            for value in data:
                yield from tensors(value, depth + 1)
        elif hasattr(data, "__dict__"):
            for value in vars(data).values():
                yield from tensors(value, depth + 1)
