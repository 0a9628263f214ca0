"""Which samples a batch was made of, whatever stands between the data set and the batch."""

import pytest

pytest.importorskip("torch")

import torch  # noqa: E402
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset  # noqa: E402

from denan._torch import samples  # noqa: E402


class Files(Dataset):
    def __init__(self, size=6):
        self.imgs = [(f"/data/cats/{i}.png", 0) for i in range(size)]
        self.labels = ["cat"] * size
        self.root = "/data"

    def __len__(self):
        return len(self.imgs)

    def __getitem__(self, i):
        return torch.tensor([float(i)])


def take(loader, data=None):
    """The samples of each batch, asked for as the hooks do."""
    batches, taken = samples.Batches(), []
    iterator = iter(loader)
    for index in [list(one) for one in loader.batch_sampler or []]:
        batches.ask(index)
    for batch in iterator:
        taken.append(batches.take(loader.dataset, batch))
    return taken


def test_names_come_from_the_list_that_has_one_for_each_sample():
    first, second = take(DataLoader(Files(4), batch_size=2))
    assert first == [(0, "cats/0.png"), (1, "cats/1.png")]
    assert second == [(2, "cats/2.png"), (3, "cats/3.png")]


def test_a_class_for_each_sample_is_no_name():
    data = Files(4)
    del data.imgs
    data.imgs = None
    data.__class__ = type("Labels", (Files,), {"__len__": lambda self: 4})
    assert samples.resolve(data, 2) == (2, None)


def test_subsets_lead_to_the_data_set_below():
    inner = Subset(Files(6), [5, 3, 1])
    assert samples.resolve(Subset(inner, [2, 0]), 0) == (1, "cats/1.png")
    assert samples.resolve(Subset(inner, [2, 0]), 1) == (5, "cats/5.png")


def test_names_may_come_with_the_batch():
    batch = {"image": torch.zeros(2, 3), "path": ["a.png", "b.png"]}
    assert samples.label([(7, None), (9, None)], batch) == [(7, "a.png"), (9, "b.png")]
    batch = [torch.zeros(2, 3), ("same", "same")]
    assert samples.label([(7, None), (9, None)], batch) == [(7, None), (9, None)], "a class, not a name"


def test_a_stream_is_counted():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(torch.arange(5.0))

    batches = samples.Batches()
    taken = [batches.take(loader_data, batch) for loader_data, batch in
             ((Stream(), batch) for batch in DataLoader(Stream(), batch_size=2))]
    assert [[index for index, _ in batch] for batch in taken] == [[0, 1], [2, 3], [4]]


def test_data_that_is_a_tensor_has_no_names():
    assert samples.resolve(TensorDataset(torch.zeros(3, 2)), 1) == (1, None)
    assert samples.resolve(torch.zeros(3, 2), 2) == (2, None)
