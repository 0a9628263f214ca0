"""What comes out of the data set: samples, batches, tables of anchors."""

import torch
from torch.utils.data import IterableDataset, Subset

from denan._torch import samples
from denan._torch.interventions import around
from denan._torch.interventions.calls import AtCalls

# Calls that take rows of a tensor.
ROWS = {"getitem", "index_select"}


class _Chosen(AtCalls):
    """Some of the samples of each batch: of a loader's as it asks for them, of a tensor that holds the data set as its rows
    are taken."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        # Rows of the tensors that hold the data set, if it is in memory.
        self.rows = plan.get("rows")
        # Samples that came of each iterator so far.
        self.counts = {}

    def begin(self):
        around.loader(self)
        if self.rows is not None:
            super().begin()

    def kept(self, indices):
        """Positions of those to keep in a list of indices of the data set."""
        raise NotImplementedError

    def indices(self, iterator, indices):
        """Of positions in the data set that a loader is about to ask for those that stay; an empty list skips the batch."""
        if isinstance(iterator._dataset, IterableDataset):
            return indices
        is_list = isinstance(indices, (list, tuple))
        asked = list(indices) if is_list else [indices]
        if not all(hasattr(one, "__index__") for one in asked):
            return indices
        kept = self.kept(in_data_set(iterator._dataset, asked))
        if len(kept) == len(asked):
            return indices
        self.acts()
        chosen = [asked[at] for at in kept]
        return chosen if is_list or not chosen else chosen[0]

    def batch(self, iterator, data):
        """Of a stream, which has no positions, the rows of a batch that stay."""
        if not isinstance(iterator._dataset, IterableDataset) or data is None:
            return data
        size = samples.batch_size(data)
        first = self.counts.get(iterator, 0)
        self.counts[iterator] = first + size
        kept = self.kept(range(first, first + size))
        if len(kept) == size:
            return data
        self.acts()
        return mapped(data, lambda tensor: rows_of(tensor, kept, size))

    def call(self, name, function, args, kwargs):
        if name not in ROWS or kwargs or not self.is_data_set(args[0]):
            return function(*args, **kwargs)
        rest = []
        if name == "getitem":
            asked = args[1]
            if isinstance(asked, tuple):
                asked, *rest = asked
        else:
            if args[1] != 0:
                return function(*args)
            asked = args[2]
        rows = self.asked_rows(asked)
        kept = None if rows is None else self.kept(rows)
        if kept is None or len(kept) == len(rows):
            return function(*args)
        self.acts()
        # A batch of nothing would break for a reason of its own.
        kept = kept or [next((at for at in range(self.rows) if self.kept([at])), 0)] * len(rows)
        chosen = torch.tensor([rows[at] for at in kept], device=args[0].device)
        return args[0][(chosen, *rest)]

    def is_data_set(self, tensor):
        return (
            isinstance(tensor, torch.Tensor)
            and tensor.dim() > 0
            and len(tensor) == self.rows
            and not tensor.requires_grad
        )

    def asked_rows(self, asked):
        """Rows that an index takes; None if it is no list of them."""
        if isinstance(asked, slice):
            rows = list(range(*asked.indices(self.rows)))
            # Columns of the whole are no batch.
            return rows if len(rows) < self.rows else None
        if isinstance(asked, (list, tuple)) and all(isinstance(one, int) for one in asked):
            return list(asked)
        is_index = isinstance(asked, torch.Tensor) and asked.dim() == 1 and not asked.dtype.is_floating_point
        if is_index and asked.dtype != torch.bool:
            return asked.tolist()
        return None


class DropSamples(_Chosen):
    """Leaves samples out, by their indices in the user's data set."""

    def __init__(self, watcher, plan):
        super().__init__(watcher, plan)
        self.dropped = set(plan["indices"])

    def kept(self, indices):
        return [at for at, index in enumerate(indices) if index not in self.dropped]

    def asked_rows(self, asked):
        # A slice of indices takes others than rows of these numbers.
        rows = super().asked_rows(asked)
        return None if rows is None else [row % self.rows for row in rows]

    def call(self, name, function, args, kwargs):
        is_order = name == "getitem" and isinstance(args[1], slice) and is_permutation(args[0])
        if is_order:
            return function(*args, **kwargs)
        return super().call(name, function, args, kwargs)


class SmallerBatch(_Chosen):
    """The first samples of each batch."""

    def kept(self, indices):
        return list(range(min(len(indices), self.plan["size"])))


class _Inputs(AtCalls):
    """Changes the data that enter at one line: a tensor of a loader's batch, or what an operation reads of the program's
    own."""

    def begin(self):
        super().begin()
        around.loader(self)

    def indices(self, iterator, indices):
        """Positions in the data set that a loader is about to ask for: they stay."""
        return indices

    def changed(self, tensor):
        raise NotImplementedError

    def fits(self, tensor):
        return True

    def batch(self, iterator, data):
        if data is None:
            return data
        at, number = self.plan["at"], 0
        chosen = []
        for number, tensor in enumerate(samples.tensors(data)):
            if self.is_data(tensor) and self.fits(tensor) and is_place(self.lines.of_batch(number), at):
                chosen.append(id(tensor))
        if not chosen:
            return data
        self.acts()
        return mapped(data, lambda tensor: self.changed(tensor) if id(tensor) in chosen else tensor)

    def call(self, name, function, args, kwargs):
        at = self.plan["at"]
        data = [one for one in flat(args) if self.is_data(one) and self.fits(one)]
        if not data or not self.is_at(at, column=at.get("column")):
            return function(*args, **kwargs)
        self.acts()
        if name in ROWS and data[0] is args[0]:
            result = function(*args, **kwargs)
            if result.dim() == args[0].dim():
                # As good as before, and less to do.
                return self.changed(result)
        with torch._C.DisableTorchFunction():
            changed = {id(one): self.changed(one) for one in data}
        return function(*mapped(args, lambda one: changed.get(id(one), one)), **kwargs)

    def is_data(self, tensor):
        """Whether a tensor is data: made by no operation of the network, and trained by nothing."""
        is_held = isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.dim() > 0
        if not is_held or tensor.requires_grad or tensor.grad_fn is not None:
            return False
        return not isinstance(tensor, torch.nn.Parameter)


class ClampInputs(_Inputs):
    """Keeps the data between two bounds."""

    def changed(self, tensor):
        return tensor.clamp(self.plan["low"], self.plan["high"])


class NormalizeInputs(_Inputs):
    """Makes each column of mean 0 and standard deviation 1, by figures of the data seen."""

    def fits(self, tensor):
        axis = self.plan["axis"]
        return axis < tensor.dim() and tensor.shape[axis] == len(self.plan["means"])

    def changed(self, tensor):
        shape = [1] * tensor.dim()
        shape[self.plan["axis"]] = -1
        means, stds = (
            torch.tensor(self.plan[name], dtype=tensor.dtype, device=tensor.device).view(shape)
            for name in ("means", "stds")
        )
        return (tensor - means) / torch.where(stds == 0, 1.0, stds)


class ReplaceAnchors(AtCalls):
    """Puts another table in the place of the one that a line makes, or reads."""

    def call(self, name, function, args, kwargs):
        at, values = self.plan["at"], self.plan["values"]
        if not self.is_at(at):
            return function(*args, **kwargs)

        def is_table(one):
            is_tensor = isinstance(one, torch.Tensor) and one.is_floating_point() and not one.requires_grad
            return is_tensor and one.numel() == len(values) and one.dim() in (1, 2)

        def table(old):
            self.acts()
            return torch.tensor(values, dtype=old.dtype, device=old.device).view(old.shape)

        if name in ("tensor", "as_tensor", "from_numpy"):
            made = function(*args, **kwargs)
            return table(made) if is_table(made) else made
        return function(*mapped(args, lambda one: table(one) if is_table(one) else one), **kwargs)


def in_data_set(dataset, positions):
    """Indices in the user's data set, below any subset of it."""
    positions = [int(position) for position in positions]
    while isinstance(dataset, Subset):
        positions = [int(dataset.indices[position]) for position in positions]
        dataset = dataset.dataset
    return positions


def is_permutation(tensor):
    """Whether a tensor holds each of its own positions once: an order of samples, and not one of their columns."""
    if not isinstance(tensor, torch.Tensor) or tensor.dtype.is_floating_point or tensor.dim() != 1:
        return False
    return torch.equal(tensor.sort().values, torch.arange(len(tensor), dtype=tensor.dtype, device=tensor.device))


def rows_of(tensor, kept, size):
    if isinstance(tensor, torch.Tensor):
        is_of_batch = tensor.dim() > 0 and len(tensor) == size
        return tensor[torch.tensor(kept, dtype=torch.long, device=tensor.device)] if is_of_batch else tensor
    return tensor


def is_place(place, at):
    return place is not None and place[:3] == (at["file"], at["line"], at.get("column", 0))


def flat(items):
    """The items of a tuple or list, those of its lists as well."""
    for one in items:
        if isinstance(one, (tuple, list)):
            yield from flat(one)
        else:
            yield one


def mapped(data, change):
    """The same nested data with other tensors."""
    if isinstance(data, torch.Tensor):
        return change(data)
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(mapped(one, change) for one in data))
    if isinstance(data, (tuple, list)):
        return type(data)(mapped(one, change) for one in data)
    if isinstance(data, dict):
        return type(data)((key, mapped(value, change)) for key, value in data.items())
    if hasattr(data, "data") and hasattr(data, "items"):
        # A mapping of a kind of its own (BatchEncoding): changed in place.
        for key, value in list(data.items()):
            data[key] = mapped(value, change)
    return data
