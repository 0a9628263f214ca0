"""`denan.guard`: a training that would break is kept alive, and a healthy one is left as it is."""

import os
import subprocess
import sys
import textwrap

import pytest

torch = pytest.importorskip("torch")

import denan  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def network(norm=False, seed=0):
    torch.manual_seed(seed)
    middle = [torch.nn.BatchNorm1d(8)] if norm else []
    return torch.nn.Sequential(torch.nn.Linear(4, 8), *middle, torch.nn.ReLU(), torch.nn.Linear(8, 1))


def train(model, optimizer, steps=60, is_bad=lambda step: False, scheduler=None, bad=float("nan")):
    """Losses of all steps."""
    random = torch.Generator().manual_seed(1)
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0])
    losses = []
    for step in range(steps):
        x = torch.randn(16, 4, generator=random)
        y = (x @ weights)[:, None]
        if is_bad(step):
            x[3, 2] = bad
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(loss.item())
    return losses


def are_finite(tensors):
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def deeds(guard):
    return [(act.step, act.what) for act in guard.acts]


def copies(model):
    return [tensor.clone() for tensor in model.state_dict().values()]


OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, 0.005, momentum=0.9, weight_decay=1e-3),
    "adam": lambda parameters: torch.optim.Adam(parameters, 0.02),
    "adamw-loop": lambda parameters: torch.optim.AdamW(parameters, 0.02, foreach=False),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, 0.01),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_bad_batch_now_and_then_costs_its_steps_and_nothing_else(make, capsys):
    model = network()
    optimizer = make(model.parameters())
    with denan.guard() as guard:
        losses = train(model, optimizer, 200, lambda step: step % 20 == 19)
    assert deeds(guard) == [(step, "skipped-step") for step in range(19, 200, 20)]
    assert "loss was NaN" in guard.acts[0].why
    assert are_finite(model.parameters())
    good = [loss for loss in losses if loss == loss]
    assert sum(good[-10:]) < sum(good[:10]) / 2
    assert "denan: guard: skipped step 19: the loss was NaN" in capsys.readouterr().err


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_skipped_step_moves_nothing(make):
    model = network(norm=True)
    optimizer = make(model.parameters())
    with denan.guard():
        train(model, optimizer, 5)
        before, state = copies(model), [
            value.clone() for values in optimizer.state.values() for value in values.values() if value is not None
        ]
        train(model, optimizer, 1, lambda step: True, bad=float("inf"))
    after = [value for values in optimizer.state.values() for value in values.values() if value is not None]
    assert all(torch.equal(*pair) for pair in zip(before, copies(model)))
    assert all(torch.equal(*pair) for pair in zip(state, after, strict=True))


def test_statistics_of_a_dropped_batch_are_dropped_as_well():
    model = network(norm=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    # The first batch is bad already.
    with denan.guard() as guard:
        train(model, optimizer, 30, lambda step: step % 10 == 0)
    assert [act.step for act in guard.acts] == [0, 10, 20]
    assert are_finite(model.buffers())
    assert model[1].num_batches_tracked == 27


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_healthy_training_is_the_same_bit_for_bit(make):
    def trained(is_guarded):
        model = network(norm=True)
        optimizer = make(model.parameters())
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
        guard = denan.guard(policy=denan.Policy(keep_every=5)) if is_guarded else None
        losses = train(model, optimizer, 40, scheduler=scheduler)
        drawn = torch.rand(3)
        if guard is not None:
            assert guard.acts == []
            guard.stop()
        return losses, copies(model), drawn

    (losses, model, drawn), (guarded_losses, guarded, guarded_drawn) = trained(False), trained(True)
    assert losses == guarded_losses
    assert torch.equal(drawn, guarded_drawn)
    assert all(torch.equal(*pair) for pair in zip(model, guarded))


def test_bad_steps_in_a_row_lead_back_and_lower_the_rate_against_any_schedule():
    for make in (
        lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0),
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000),
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=1000),
        lambda optimizer: None,
    ):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), 0.02)
        scheduler = make(optimizer)
        used = []
        optimizer.register_step_pre_hook(lambda *_: used.append(optimizer.param_groups[0]["lr"]))
        policy = denan.Policy(roll_back_after=2, keep_every=10, lower_rate=0.25)
        with denan.guard(policy=policy) as guard:
            train(model, optimizer, 60, lambda step: step in (34, 35, 36), scheduler)
        assert deeds(guard) == [(34, "skipped-step"), (35, "skipped-step"), (36, "rolled-back")]
        back = guard.acts[2]
        assert (back.to, back.factor) == (30, 0.25)
        assert "3 bad steps in a row" in back.why
        # In force for as long as a step lasts; the program sees its own.
        scheduled = optimizer.param_groups[0]["lr"]
        assert used[-1] == pytest.approx(scheduled / 4, rel=0.1)


def test_rates_that_are_tensors_are_lowered_in_place():
    model = network()
    rate = torch.tensor(0.02)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    used = []
    optimizer.register_step_pre_hook(lambda *_: used.append(float(optimizer.param_groups[0]["lr"])))
    with denan.guard(policy=denan.Policy(roll_back_after=0)):
        train(model, optimizer, 20, lambda step: step == 9)
    assert optimizer.param_groups[0]["lr"] is rate and float(rate) == pytest.approx(0.02)
    assert used[5] == pytest.approx(0.02) and used[-1] == pytest.approx(0.01)


def test_a_roll_back_is_to_the_very_values():
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    seen = {}
    with denan.guard(policy=denan.Policy(roll_back_after=0, keep_every=10)) as guard:

        def note(step):
            seen[step] = copies(model), [v.clone() for s in optimizer.state.values() for v in s.values()]
            return step == 25

        train(model, optimizer, 26, note)
    assert guard.acts[0].to == 20
    values, state = seen[20]
    assert all(torch.equal(*pair) for pair in zip(values, copies(model)))
    now = [value for values in optimizer.state.values() for value in values.values()]
    assert all(torch.equal(*pair) for pair in zip(state, now, strict=True))


def test_an_update_that_loses_the_parameters_is_undone():
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 0.02, eps=0.0)
    losses = []
    with denan.guard(policy=denan.Policy(most_roll_backs=100)) as guard:
        random = torch.Generator().manual_seed(1)
        for _ in range(40):
            x = torch.randn(16, 4, generator=random)
            # The last column never reaches the loss: its gradient is exactly 0, and 0/0 is the update.
            x[:, 3] = 0
            optimizer.zero_grad()
            loss = model(x).pow(2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert are_finite(model.parameters())
    assert {act.what for act in guard.acts} == {"rolled-back"}
    assert "0.weight was NaN" in guard.acts[0].why and "after its update" in guard.acts[0].why
    assert all(loss == loss for loss in losses)


def test_an_optimizers_state_that_overflows_leads_back():
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with denan.guard(policy=denan.Policy(keep_every=5)) as guard:
        train(model, optimizer, 12)
        # A huge finite gradient: its square is not.
        optimizer.zero_grad()
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 1e25)
        optimizer.step()
        train(model, optimizer, 12)
    assert [act.what for act in guard.acts] == ["rolled-back"]
    assert "exp_avg_sq of 0.weight was inf" in guard.acts[0].why
    assert are_finite(value for state in optimizer.state.values() for value in state.values())


def test_it_gives_up_when_it_has_to_act_too_often():
    for policy, why in (
        (denan.Policy(roll_back_after=100, most_in_window=5, window=50), "5 of the last 50 steps"),
        (denan.Policy(roll_back_after=100, most_acts=5), "it has acted 5 times"),
    ):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), 0.02)
        with denan.guard(policy=policy) as guard:
            train(model, optimizer, 40, lambda step: step >= 20)
        assert [act.what for act in guard.acts] == ["skipped-step"] * 5 + ["gave-up"]
        assert why in guard.acts[-1].why
        assert guard.has_given_up
        assert not are_finite(model.parameters())


def test_it_gives_up_when_going_back_does_not_help():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    with denan.guard(policy=denan.Policy(roll_back_after=1, most_roll_backs=2)) as guard:
        train(model, optimizer, 40, lambda step: step >= 20)
    assert [act.what for act in guard.acts] == ["skipped-step", "rolled-back"] * 2 + ["skipped-step", "gave-up"]
    assert "gone back 2 times" in guard.acts[-1].why


def test_an_optimizer_for_each_step_counts_steps_all_the_same():
    model = network()
    with denan.guard() as guard:
        for step in range(8):
            train(model, torch.optim.SGD(model.parameters(), 0.01), 1, lambda _: step == 5)
    assert deeds(guard) == [(5, "skipped-step")]


def test_it_raises_when_it_is_to():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    with denan.guard(policy=denan.Policy(most_acts=2, raise_at_end=True)):
        with pytest.raises(denan.GuardGaveUp, match="step 22"):
            train(model, optimizer, 40, lambda step: step >= 20)
    assert are_finite(model.parameters())


def test_states_are_bounded_in_memory():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    with denan.guard(policy=denan.Policy(keep_every=1, keep=3)) as guard:
        train(model, optimizer, 20)
        assert len(guard._guarding.kept) == 3
    with denan.guard(policy=denan.Policy(keep_every=1, keep=3, memory=500)) as guard:
        train(model, optimizer, 20)
        assert len(guard._guarding.kept) == 2


def test_a_state_that_does_not_fit_is_not_kept_and_said(capsys):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    with denan.guard(policy=denan.Policy(roll_back_after=1, memory=64)) as guard:
        train(model, optimizer, 20, lambda step: step in (9, 10, 11))
    assert [act.what for act in guard.acts] == ["skipped-step"] * 3
    assert "no earlier state" in guard.acts[1].why
    assert capsys.readouterr().err.count("there is none to go back to") == 1


def test_closures():
    model = network()
    for optimizer in (torch.optim.Adam(model.parameters(), 0.02), torch.optim.LBFGS(model.parameters(), 0.5)):
        model.load_state_dict(network().state_dict())
        random = torch.Generator().manual_seed(1)
        with denan.guard() as guard:
            for step in range(30):
                # The same batch each time: what L-BFGS is made for.
                x = torch.randn(64, 4, generator=random.manual_seed(1))
                y = x.sum(1, keepdim=True)
                if step % 10 == 9:
                    x[0, 0] = float("nan")
                if step == 0:
                    first = torch.nn.functional.mse_loss(model(x), y).item()

                def closure():
                    optimizer.zero_grad()
                    loss = torch.nn.functional.mse_loss(model(x), y)
                    loss.backward()
                    return loss

                before = copies(model)
                optimizer.step(closure)
                if step % 10 == 9:
                    assert all(torch.equal(*pair) for pair in zip(before, copies(model)))
        assert deeds(guard) == [(step, "skipped-step") for step in (9, 19, 29)], type(optimizer)
        x = torch.randn(64, 4, generator=random)
        assert torch.nn.functional.mse_loss(model(x), x.sum(1, keepdim=True)).item() < first / 3


def test_an_lbfgs_step_that_goes_wrong_on_its_way_is_undone():
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), 1.0)
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = (model(torch.ones(4, 1)) - 3).pow(2).mean()
        calls.append(1)
        if len(calls) > 1:
            loss = loss * float("nan")
        loss.backward()
        return loss

    before = copies(model)
    with denan.guard() as guard:
        optimizer.step(closure)
    assert [act.what for act in guard.acts] == ["skipped-step"]
    assert all(torch.equal(*pair) for pair in zip(before, copies(model)))
    assert not optimizer.state


def test_a_loss_scaler_is_left_alone():
    def trained(is_guarded):
        model = network(norm=True)
        optimizer = torch.optim.SGD(model.parameters(), 0.02)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=5)
        guard = denan.guard() if is_guarded else None
        random = torch.Generator().manual_seed(1)
        scales = []
        for step in range(120):
            x = torch.randn(16, 4, generator=random)
            if step == 100:
                x[0, 0] = float("nan")
            optimizer.zero_grad()
            loss = model(x).pow(2).mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            scales.append(scaler.get_scale())
        if guard is not None:
            guard.stop()
        return copies(model)[:2], scales, guard, model

    (plain, scales, _, lost), (guarded, guarded_scales, guard, model) = trained(False), trained(True)
    assert scales == guarded_scales
    assert all(torch.equal(*pair) for pair in zip(plain, guarded))
    # What the scaler leaves behind: statistics of the batch that it skipped.
    assert not are_finite(lost.buffers()) and are_finite(model.buffers())
    assert [act.what for act in guard.acts] == ["restored-buffers"]


def test_several_optimizers_make_one_step():
    one, two = network(seed=0), network(seed=1)
    optimizers = [torch.optim.Adam(one.parameters(), 0.01), torch.optim.SGD(two.parameters(), 0.01)]
    with denan.guard() as guard:
        for step in range(10):
            x = torch.randn(8, 4)
            if step == 6:
                x[0] = float("nan")
            for optimizer in optimizers:
                optimizer.zero_grad()
            (one(x) - two(x)).pow(2).mean().backward()
            for optimizer in optimizers:
                optimizer.step()
    assert deeds(guard) == [(6, "skipped-step")] * 2
    assert are_finite([*one.parameters(), *two.parameters()])


def test_only_what_is_given_is_guarded():
    one, two = network(seed=0), network(seed=1)
    optimizers = [torch.optim.SGD(model.parameters(), 0.01) for model in (one, two)]
    with denan.guard(one, optimizers[0]) as guard:
        for model, optimizer in zip((one, two), optimizers):
            train(model, optimizer, 3, lambda step: step == 1)
    assert are_finite(one.parameters()) and not are_finite(two.parameters())
    assert len(guard.acts) == 1


class Rows(torch.utils.data.Dataset):
    def __init__(self, bad=()):
        random = torch.Generator().manual_seed(3)
        self.x = torch.randn(64, 4, generator=random)
        self.x[list(bad)] = float("nan")
        self.asked = []

    def __len__(self):
        return 64

    def __getitem__(self, index):
        self.asked.append(index)
        return self.x[index], self.x[index].sum()[None]


def epochs(data, guard, count, shuffle=True):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    loader = torch.utils.data.DataLoader(
        data, 8, shuffle=shuffle, generator=torch.Generator().manual_seed(5)
    )
    sizes = set()
    for _ in range(count):
        for x, y in loader:
            sizes.add(len(x))
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
    assert sizes == {8}
    return model


def test_acts_name_the_samples_of_the_batch():
    data = Rows(bad=[17])
    with denan.guard() as guard:
        epochs(data, guard, 2, shuffle=False)
    assert [act.step for act in guard.acts] == [2, 10]
    assert [index for index, _ in guard.acts[0].samples] == list(range(16, 24))


def test_samples_that_are_blamed_again_and_again_are_left_out():
    data = Rows(bad=[17, 40])
    with denan.guard(policy=denan.Policy(leave_out_after=3)) as guard:
        epochs(data, guard, 12)
        left = [index for act in guard.acts if act.what == "left-out" for index, _ in act.samples]
        last = max(act.step for act in guard.acts)
        data.asked.clear()
        epochs(data, guard, 2)
    assert {17, 40} <= set(left) and len(left) <= 4
    assert last < 12 * 8 - 8
    assert not {17, 40} & set(data.asked)


def test_a_checkpoint_that_is_not_finite_leaves_the_clean_one(tmp_path):
    model = network()
    path = tmp_path / "model.pt"
    with denan.guard() as guard:
        torch.save(model.state_dict(), path)
        clean = path.read_bytes()
        with torch.no_grad():
            model[0].weight[0, 0] = float("nan")
        torch.save({"model": model.state_dict(), "best": torch.tensor(float("inf"))}, path)
        torch.save(model, str(tmp_path / "new.pt"))
        # As careful programs do it.
        torch.save(model.state_dict(), tmp_path / "model.tmp")
        os.replace(tmp_path / "model.tmp", path)
    assert path.read_bytes() == clean
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.pt", "model.pt.non-finite", "new.pt.non-finite"]
    assert [(act.what, os.path.basename(act.file)) for act in guard.acts] == [
        ("kept-checkpoint", name) for name in ("model.pt", "new.pt", "model.tmp")
    ]
    assert guard.acts[0].why == "model.0.weight was NaN in 1 of 32 elements"
    kept = torch.load(tmp_path / "model.pt.non-finite")
    assert kept["0.weight"].isnan().sum() == 1
    torch.save(model.state_dict(), path)
    assert path.read_bytes() != clean, "without a guard it is as ever"


def test_what_is_infinite_on_purpose_is_no_bad_checkpoint(tmp_path):
    class Masked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)
            self.register_buffer("mask", torch.full((4, 4), float("-inf")).triu(1))
            self.register_buffer("bound", torch.tensor([float("inf"), 1.0]))

        def forward(self, x):
            return (self.linear(x)[:, None] + self.mask).softmax(-1).sum((1, 2), keepdim=True)[:, 0]

    model = Masked()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with denan.guard(policy=denan.Policy(keep_every=2)) as guard:
        train(model, optimizer, 6)
        best = {"best": torch.tensor(float("inf")), "model": model.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(best, tmp_path / "a.pt")
        torch.save({"bias": torch.full((3, 3), float("-inf")).tril(-1)}, tmp_path / "b.pt")
        assert len(guard._guarding.kept) == 2
    assert guard.acts == []
    assert (tmp_path / "a.pt").exists() and (tmp_path / "b.pt").exists()


def test_with_a_watcher_acts_are_in_the_result():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    with denan.watch() as watching, denan.guard(policy=denan.Policy(roll_back_after=1, keep_every=2)) as guard:
        train(model, optimizer, 30, lambda step: step in (11, 20, 21))
    document = watching.result.document
    assert [(act["step"], act["what"]) for act in document["acts"]] == deeds(guard)
    assert (document["outcome"], document["break"]["step"], document["steps"]) == ("broke", 11, 30)
    assert "guard: 3 acts; the training made" in watching.result.text.replace("\xa0", " ")


def test_what_a_guard_computes_is_no_operation_of_the_training():
    model = network(norm=True)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    with denan.watch(every_operation=True) as watching, denan.guard(policy=denan.Policy(keep_every=1)) as guard:
        for step in range(6):
            x = torch.rand(32, 4) + 0.5
            if step == 4:
                x[3, 2] = 0
            optimizer.zero_grad()
            model(x.log()).pow(2).mean().backward()
            optimizer.step()
    result = watching.result
    assert deeds(guard) == [(4, "skipped-step")]
    assert result.causes[0]["rule"] == "log-of-zero"
    assert result.document["break"]["producer"]["op"] == "log"


def test_a_watcher_that_comes_later_sees_gradients_as_they_are():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.02)
    with denan.guard() as guard:
        with denan.watch() as watching:
            train(model, optimizer, 30, lambda step: step == 11)
    assert watching.result.document["break"]["step"] == 11
    assert deeds(guard) == [(11, "skipped-step")]


TRAINING = """
    import torch
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    data = torch.rand(64, 4) + 0.5
    data[17, 2] = 0
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data), batch_size=8, shuffle=True)
    for epoch in range(20):
        for (x,) in loader:
            optimizer.zero_grad()
            loss = (model(x.log()) - x.sum(1, keepdim=True)).pow(2).mean()
            loss.backward()
            optimizer.step()
        torch.save(model.state_dict(), "model.pt")
    finite = all(bool(p.isfinite().all()) for p in model.parameters())
    print("finite" if finite else "lost", loss.item() < 1)
"""


def test_denan_run_with_a_guard(run):
    ran = run(TRAINING, command=("--guard", "train.py"))
    assert ran.printed.strip() == "finite True", ran.said
    assert ran.code == 1
    result = ran.result
    assert (result["outcome"], result["steps"]) == ("broke", 160)
    assert {act["what"] for act in result["acts"]} == {"skipped-step"} and len(result["acts"]) == 20
    assert all(17 in [sample["index"] for sample in act["samples"]] for act in result["acts"])
    # What broke first is explained all the same.
    assert result["break"]["step"] == result["acts"][0]["step"]
    assert ran.cause == "log-of-zero" or ran.producer["op"] == "log"
    assert "guard: skipped step" in ran.said
    shown = subprocess.run(
        [sys.executable, "-m", "denan", "show", result["record"]], capture_output=True, text=True
    )
    text = " ".join((shown.stdout + shown.stderr).split())
    assert "guard: 20 acts" in text and "every later step is lost" not in text


def test_denan_run_without_a_guard_is_as_ever(run):
    ran = run(TRAINING)
    assert ran.printed == "" and ran.result["steps"] < 16 and "acts" not in ran.result


def test_a_guard_that_gives_up_lets_denan_end_the_training(run):
    text = TRAINING.replace("data[17, 2] = 0", "data[:, 2] = 0")
    ran = run(text, command=("--guard", "train.py"))
    assert ran.code == 1 and ran.printed == ""
    assert ran.result["acts"][-1]["what"] == "gave-up"
    assert ran.result["steps"] < 80


def test_a_guard_of_the_script_itself_is_told_as_well(run):
    text = TRAINING.replace("    data = ", "    import denan\n    guard = denan.guard(model, optimizer)\n    data = ")
    ran = run(text)
    assert ran.printed.strip() == "finite True", ran.said
    assert len(ran.result["acts"]) == 20


DISTRIBUTED = """
    import sys, torch, denan
    import torch.distributed as distributed

    def train(rank, port):
        torch.set_num_threads(1)
        distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
        shared = torch.nn.parallel.DistributedDataParallel(model)
        # A part of its own, whose gradients nobody shares.
        own = torch.nn.Linear(4, 1)
        optimizer = torch.optim.Adam([*shared.parameters(), *own.parameters()], lr=0.02)
        guard = denan.guard(policy=denan.Policy(roll_back_after=1, keep_every=5))
        random = torch.Generator().manual_seed(rank)
        for step in range(40):
            x = torch.randn(16, 4, generator=random)
            y = x.sum(1, keepdim=True)
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(shared(x), y)
            if step == 12 and rank == 0:
                x = x * float("nan")
            (loss + own(x).pow(2).mean()).backward()
            if step in (20, 21) and rank == 1:
                model[0].weight.grad[0, 0] = float("inf")
            optimizer.step()
            if step == 30 and rank == 1:
                # An update that has lost a parameter, as only this rank can see.
                with torch.no_grad():
                    own.weight.fill_(float("nan"))
        total = torch.cat([p.detach().flatten() for p in model.parameters()])
        print(rank, [(a.step, a.what, a.to) for a in guard.acts], bool(torch.isfinite(total).all()),
              float(total.double().sum()), bool(own.weight.isfinite().all()), flush=True)
        distributed.destroy_process_group()

    if __name__ == "__main__":
        train(int(sys.argv[1]), sys.argv[2])
"""


def test_ranks_decide_alike(tmp_path):
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    script = tmp_path / "ranks.py"
    script.write_text(textwrap.dedent(DISTRIBUTED))
    running = [
        subprocess.Popen(
            [sys.executable, script, str(rank), port], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=120) for process in running]
    lines = [out.split(" ", 1) for out, _ in said]
    assert [line[0] for line in lines] == ["0", "1"], said
    assert lines[0][1] == lines[1][1], said
    assert "(12, 'skipped-step', None), (20, 'skipped-step', None), (21, 'rolled-back', 15)" in lines[0][1], said
    assert "(31, 'skipped-step', None), (32, 'rolled-back', 26)" in lines[0][1] and " True " in lines[0][1], said


def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed")
    import logging

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = network(norm=True)
            self.losses = []

        def training_step(self, batch, at):
            x, y = batch
            if self.global_step == 5:
                x = x * float("nan")
            loss = torch.nn.functional.mse_loss(self.model(x), y)
            self.losses.append(loss.item())
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.02)

        def on_train_epoch_end(self):
            if self.current_epoch == 2:
                with torch.no_grad():
                    self.model[0].weight[0, 0] = float("nan")

    module = Module()
    checkpoint = lightning.callbacks.ModelCheckpoint(dirpath=tmp_path / "kept", filename="{epoch}", save_top_k=1)
    with denan.guard(policy=denan.Policy(roll_back_after=0)) as guard:
        trainer = lightning.Trainer(
            max_epochs=3, callbacks=[checkpoint], logger=False, enable_progress_bar=False,
            enable_model_summary=False, accelerator="cpu", default_root_dir=tmp_path,
        )
        trainer.fit(module, torch.utils.data.DataLoader(Rows(), 8))
    assert [act.what for act in guard.acts] == ["rolled-back", "kept-checkpoint"]
    assert guard.acts[0].step == 5
    names = sorted(file.name for file in (tmp_path / "kept").iterdir())
    assert names == ["epoch=1.ckpt", "epoch=2.ckpt.non-finite"], "the clean one is still there"


def test_transformers(tmp_path):
    transformers = pytest.importorskip("transformers", reason="Transformers is not installed")
    pytest.importorskip("accelerate", reason="Accelerate is not installed")
    transformers.logging.set_verbosity_error()
    config = transformers.BertConfig(
        vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=8,
    )
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(config)
    data = [{"input_ids": torch.randint(0, 32, (8,)), "labels": torch.tensor(n % 2)} for n in range(32)]

    class Spoil(transformers.TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 7:
                with torch.no_grad():
                    model.classifier.weight[0, 0] = float("nan")

    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), per_device_train_batch_size=4, max_steps=8, save_steps=4,
        save_total_limit=1, report_to=[], use_cpu=True, disable_tqdm=True, logging_steps=100,
    )
    # Nothing is let past it, but what is written is looked at.
    with denan.guard(policy=denan.Policy(most_acts=0)) as guard:
        transformers.Trainer(model=model, args=arguments, train_dataset=data, callbacks=[Spoil()]).train()
    assert "kept-checkpoint" in [act.what for act in guard.acts]
    folders = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert folders == ["checkpoint-4", "checkpoint-8"], "the clean one is still there"
    assert (tmp_path / "out/checkpoint-4/model.safetensors").exists()
    assert (tmp_path / "out/checkpoint-8/model.safetensors.non-finite").exists()
    assert not (tmp_path / "out/checkpoint-8/model.safetensors").exists()
