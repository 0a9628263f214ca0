"""Which samples a batch was made of: indices in the user's data set, and names where it has some."""

import os
from collections import deque

import torch
from torch.utils.data import IterableDataset, Subset

from denan._scratch import told

# Attributes in which data sets usually keep a name, or a tuple that begins with one, for each sample.
LISTS = ("samples", "imgs", "images", "files", "filenames", "file_names", "paths", "image_paths", "names", "ids", "keys")
# Keys of an item that say which one it is.
KEYS = ("name", "names", "path", "paths", "file", "files", "filename", "file_name", "key", "__key__", "id", "image_id")


class Batches:
    """The indices that a loader has asked for, in the order in which their batches come."""

    def __init__(self):
        self.asked = deque()
        self.running = 0
        # Positions of the batch that came last, as they were asked for.
        self.taken = None

    def ask(self, index):
        self.asked.append(index)

    def take(self, dataset, data):
        """Samples of the batch that has just come: a list of (index, name or None)."""
        index = self.taken = self.asked.popleft() if self.asked else None
        if isinstance(dataset, IterableDataset) or index is None:
            count = batch_size(data)
            numbers = range(self.running, self.running + count)
            self.running += count
            return label([(number, None) for number in numbers], data)
        indices = index if isinstance(index, (list, tuple)) else [index]
        if not all(isinstance(one, int) or hasattr(one, "__index__") for one in indices):
            return label([(number, str(one)) for number, one in enumerate(indices)], data)
        return label(resolve_all(dataset, [int(one) for one in indices]), data)


def resolve(dataset, index):
    """Index and name in the data set that the user made, below any subset of it."""
    return resolve_all(dataset, [index])[0]


def resolve_all(dataset, indices):
    while isinstance(dataset, Subset):
        indices = [int(dataset.indices[index]) for index in indices]
        dataset = dataset.dataset
    names = names_of(dataset)
    if not names:
        return [(index, None) for index in indices]
    return [(index, named(names[index], dataset) if index < len(names) else None) for index in indices]


def names_of(dataset):
    """What the data set calls its samples: a list of its own with an entry for each sample, known ones first."""
    if isinstance(dataset, (torch.Tensor, list, tuple, dict)):
        return []
    known = _names.get(id(dataset))
    if known is None or known[0] is not dataset:
        known = _names[id(dataset)] = (dataset, _find_names(dataset))
    return known[1]


# By identity: data sets may compare in ways of their own. They live as long as their loader does anyway.
_names = {}


def _find_names(dataset):
    try:
        size = len(dataset)
    except TypeError:
        return []
    own = getattr(dataset, "__dict__", {})
    for attribute in [name for name in LISTS if hasattr(dataset, name)] + list(own):
        items = getattr(dataset, attribute, None)
        if isinstance(items, (list, tuple)) and len(items) == size and size > 0 and text_of(items[0]) is not None:
            # A column of words (a class for each sample) names nothing.
            if len({text_of(item) for item in items}) == size:
                return items
    return []


def text_of(item):
    """An item that is a name, or begins with one."""
    if isinstance(item, (tuple, list)) and item:
        item = item[0]
    if isinstance(item, dict):
        item = next((item[key] for key in KEYS if key in item), None)
    return os.fspath(item) if isinstance(item, (str, os.PathLike)) else None


def named(item, dataset):
    """A name as the data set has it; of an absolute path what is below the data set's folder, or below this one."""
    text = text_of(item)
    if text is not None and os.path.isabs(text):
        text = told(text)
        for folder in (getattr(dataset, "root", None), os.getcwd()):
            if isinstance(folder, (str, os.PathLike)):
                folder = os.path.join(told(os.path.abspath(folder)), "")
                if text.startswith(folder):
                    return text[len(folder) :]
    return text


def label(samples, data):
    """Names out of the batch itself, where its items carry some."""
    if any(name for _, name in samples):
        return samples
    columns = list(data.values()) if isinstance(data, dict) else list(data) if isinstance(data, (list, tuple)) else []
    if isinstance(data, dict):
        columns = [data[key] for key in KEYS if key in data] + columns
    for names in columns:
        is_text = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
        if is_text and len(names) == len(samples) and len(set(names)) == len(names):
            return [(index, told(name)) for (index, _), name in zip(samples, names)]
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
