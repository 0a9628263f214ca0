"""What a re-run writes is thrown away: after it the user's files are what the first run left.

Each script writes the number of its process, and prints it: only what the first run prints is shown.
"""

import importlib.util
import pathlib
import shutil
import sys
import tempfile

import pytest

# It breaks in its third step, by a logarithm of 0. It does BEFORE at its beginning and EACH in each step.
TRAINING = """
import os, pathlib, shutil, sys, torch
HERE, OUT = pathlib.Path(os.environ["HERE"]), pathlib.Path(os.environ["OUT"])
IS_AGAIN = pathlib.Path.cwd() != HERE
ME = f"{os.getpid()}\\n"
print(ME, end="", flush=True)
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.rand(8, 4)
start = 0
BEFORE
for step in range(start, start + 5):
    y = x if step < 2 else x - x
    loss = model(y.log()).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    EACH
"""


def needs(*packages):
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture
def outside():
    """A folder of the user's that is neither the working folder nor a temporary one."""
    folder = tempfile.mkdtemp(dir=pathlib.Path(__file__).parent, prefix=".outside-")
    yield pathlib.Path(folder)
    shutil.rmtree(folder)


@pytest.fixture
def train(run, tmp_path, outside):
    """Runs a training that breaks and is run again; gives what it printed and what denan said."""

    def train(before="pass", each="pass", command=("train.py",), **files):
        text = TRAINING.replace("BEFORE", before).replace("EACH", each.replace("\n", "\n    "))
        ran = run(text, command, environment={"HERE": str(tmp_path), "OUT": str(outside)}, **files)
        assert ran.code == 1 and ran.result["causes"], ran.said
        assert (ran.producer["op"], ran.producer["file"], ran.result["break"]["step"]) == ("log", "train.py", 2)
        assert not any("repeat" in note or "closely" in note for note in ran.result["notes"]), ran.result["notes"]
        assert "denan-scratch" not in str(ran.result) + ran.said
        assert "scratch folder" in ran.said
        return ran

    return train


WAYS = {
    "relative": ("out.txt", "open('out.txt', 'w').write(ME)"),
    "absolute": ("out.txt", "open(HERE / 'out.txt', 'w').write(ME)"),
    "into a folder": ("there/out.txt", "pathlib.Path('there/out.txt').write_text(ME)"),
    "into a new folder": ("new/a/out.txt", "os.makedirs('new/a', exist_ok=True); open('new/a/out.txt', 'w').write(ME)"),
    "moved into place": ("out.txt", "open('part', 'w').write(ME); os.replace('part', HERE / 'out.txt')"),
    "over a file": ("there/old.txt", "open('there/old.txt', 'w').write(ME)"),
    "over a file, absolute": ("there/old.txt", "open(HERE / 'there/old.txt', 'w').write(ME)"),
    "over a checkpoint": ("there/old.txt", "torch.save(ME, 'there/old.txt')"),
    "elsewhere": ("OUT/out.txt", "open(OUT / 'out.txt', 'w').write(ME)"),
    "elsewhere over a file": ("OUT/old.txt", "(OUT / 'old.txt').write_text(ME)"),
    "elsewhere over a checkpoint": ("OUT/old.txt", "torch.save(ME, OUT / 'old.txt')"),
    "elsewhere into a new folder": (
        "OUT/a/out.pt", "(OUT / 'a').mkdir(exist_ok=True); torch.save(ME, OUT / 'a/out.pt')",
    ),
    "through a link": ("OUT/old.txt", "open('linked/old.txt', 'w').write(ME)"),
    "over a file in a folder of many": ("many/7.txt", "open('many/7.txt', 'w').write(ME)"),
}


@pytest.mark.parametrize("way", WAYS)
def test_only_the_first_run_writes(train, tmp_path, outside, way):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/old.txt").write_text("before")
    (outside / "old.txt").write_text("before")
    (tmp_path / "linked").symlink_to(outside)
    (tmp_path / "many").mkdir()
    for number in range(1200):
        (tmp_path / f"many/{number}.txt").write_text("before")
    name, each = WAYS[way]
    # A second run must also find what it has written itself.
    path = each.split("open(")[-1].split(",")[0] if way.startswith("over a file") else repr(name)
    path = "OUT / " + repr(name[4:]) if name.startswith("OUT") else path
    ran = train(each=f"{each}\nassert ME.encode().strip() in pathlib.Path({path}).read_bytes()")
    written = outside / name[4:] if name.startswith("OUT") else tmp_path / name
    assert ran.printed.strip().encode() in written.read_bytes()
    assert ("thrown away, too" in ran.said) == (name.startswith("OUT") or name.startswith("many"))
    kept = {path.name for path in outside.rglob("*")}
    assert kept == ({"old.txt", *pathlib.Path(name[4:]).parts} if name.startswith("OUT") else {"old.txt"})


@pytest.mark.parametrize("where", ["HERE", "OUT"])
def test_a_log_is_appended_to_once(train, tmp_path, outside, where):
    folder = {"HERE": tmp_path, "OUT": outside}[where]
    (folder / "log.txt").write_text("before\n")
    begin = f"import logging; logging.basicConfig(filename={where} / 'log.txt', format='%(message)s')"
    ran = train(begin, "logging.warning(ME.strip())")
    assert (folder / "log.txt").read_text() == "before\n" + 2 * ran.printed


@pytest.mark.parametrize("where", ["HERE", "OUT"])
def test_a_run_that_resumes_if_it_can_begins_as_the_first_did(train, tmp_path, outside, where):
    folder = {"HERE": tmp_path, "OUT": outside}[where]
    ran = train(
        f"if ({where} / 'last.pt').exists(): start = torch.load({where} / 'last.pt')['step']",
        f"torch.save({{'step': step, 'me': ME}}, {where} / 'last.pt')",
    )
    import torch

    assert torch.load(folder / "last.pt") == {"step": 1, "me": ran.printed}


@pytest.mark.parametrize("where", ["HERE", "OUT"])
def test_a_folder_that_must_be_new_is_new_again(train, tmp_path, outside, where):
    folder = {"HERE": tmp_path, "OUT": outside}[where]
    ran = train(f"({where} / 'run').mkdir()", f"({where} / 'run/me.txt').write_text(ME)")
    assert (folder / "run/me.txt").read_text() == ran.printed


@pytest.mark.parametrize("where", ["HERE", "OUT"])
def test_nothing_of_the_users_is_removed(train, tmp_path, outside, where):
    folder = {"HERE": tmp_path, "OUT": outside}[where]
    # The first run spares them.
    before = f"""
if IS_AGAIN:
    shutil.rmtree({where} / "runs")
    assert not ({where} / "runs").exists()
    os.makedirs({where} / "runs/a")
    assert os.listdir({where} / "runs/a") == []
    os.remove({where} / "one.txt")
    os.rename({where} / "two.txt", {where} / "three.txt")
    assert sorted(os.listdir({where})).count("three.txt") == 1 and not ({where} / "two.txt").exists()
    assert ({where} / "three.txt").read_text() == "two"
"""
    (folder / "runs/a").mkdir(parents=True)
    (folder / "runs/a/events").write_text("mine")
    (folder / "one.txt").write_text("one")
    (folder / "two.txt").write_text("two")
    train(before)
    assert (folder / "runs/a/events").read_text() == "mine"
    assert (folder / "one.txt").read_text() == "one" and (folder / "two.txt").read_text() == "two"
    assert not (folder / "three.txt").exists()


def test_a_data_set_that_the_first_run_made_is_there(train, tmp_path):
    train(
        """
if not os.path.exists("photos/all.bin"):
    assert not IS_AGAIN
    os.makedirs("photos")
    open("photos/all.bin", "wb").write(bytes(100_000))
"""
    )
    assert (tmp_path / "photos/all.bin").stat().st_size == 100_000


def test_files_are_listed_in_their_order_and_found(train, tmp_path):
    for number in range(64):
        (tmp_path / f"rows/part{number % 4}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"rows/part{number % 4}/{number * 37 % 64}.txt").write_text(str(number))
    train(
        """
found = [float(open(os.path.join(at, name)).read()) for at, _, names in os.walk("rows") for name in names]
found += [float(path.read_text()) for path in (HERE / "rows").rglob("*.txt")]
found += [float(path.read_text()) for path in pathlib.Path("rows/part1").iterdir()]
assert len(found) == 144
with torch.no_grad():
    model.weight.copy_(torch.tensor(found[:4] + found[64:68] + found[-4:]).view(3, 4).mul(0.001).cumsum(0)[-1])
"""
    )


def test_modules_and_inputs_beside_the_folder_are_found(train, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "beside.txt").write_text("beside")
    (tmp_path / "work/helper.py").write_text("VALUE = open('../beside.txt').read()\n")
    train("sys.path.append(os.path.abspath('work')); os.chdir('work'); import helper; assert helper.VALUE == 'beside'")


def test_a_script_by_its_absolute_path_and_each_rank(train, tmp_path):
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    command = ("--", *launcher, str(tmp_path / "train.py"))
    ran = train(
        "import torch.distributed as dist; dist.init_process_group('gloo')",
        "(pathlib.Path(__file__).parent / f'rank{dist.get_rank()}.txt').write_text(ME)",
        command,
    )
    written = {(tmp_path / f"rank{rank}.txt").read_text() for rank in (0, 1)}
    assert written == {line + "\n" for line in ran.printed.split()}


def test_a_data_base_is_kept(train, tmp_path, outside):
    before = """
import sqlite3
for folder in (HERE, OUT):
    base = sqlite3.connect(folder / "runs.sqlite")
    base.execute("create table if not exists runs (me)")
    base.execute("insert into runs values (?)", (ME,))
    base.commit()
    base.close()
"""
    ran = train(before)
    import sqlite3

    for folder in (tmp_path, outside):
        assert sqlite3.connect(folder / "runs.sqlite").execute("select me from runs").fetchall() == [(ran.printed,)]


# What a re-run does with the user's files, and what it must find then.
CALLS = """
def fails(error, call, *args, **options):
    try:
        call(*args, **options)
    except error:
        return True
    return False

import bz2, copy, glob, logging, pickle, tempfile
here = pathlib.Path()
assert not os.path.islink("old.pt") and os.path.islink("linked") and not os.path.islink("data")
assert sorted(map(str, here.rglob("*.csv"))) == ["data/a.csv", "data/b.csv"]
assert sorted(glob.glob("**/*.csv", recursive=True)) == ["data/a.csv", "data/b.csv"]
assert sorted(HERE.rglob("*.csv")) == [HERE / "data/a.csv", HERE / "data/b.csv"]
for path in (here / "old.pt", OUT / "o.pt"):
    path.write_text("new")
    assert path.read_text() == "new" and fails(FileExistsError, open, path, "x")
assert (HERE / "old.pt").read_text() == "new" == pathlib.Path("linked/o.pt").read_text()
(OUT / "z").write_text("z")
assert sorted(os.listdir(OUT)) == ["o.pt", "sub", "z"] == sorted(os.listdir("linked"))
shutil.rmtree(OUT / "sub")
assert fails(FileNotFoundError, open, OUT / "sub/f") and fails(FileNotFoundError, shutil.rmtree, OUT / "sub")
os.makedirs(OUT / "sub/deep", exist_ok=True)
assert os.listdir(OUT / "sub") == ["deep"] and fails(OSError, os.rmdir, OUT / "sub")
assert fails(FileExistsError, os.mkdir, OUT)
shutil.rmtree("data")
assert not (HERE / "data/a.csv").exists() and not os.path.exists("data")
os.rename("log.txt", "log2.txt")
assert open("log2.txt").read() == "1" and fails(FileNotFoundError, open, HERE / "log.txt")
os.makedirs("runs/a")
os.symlink("a", "runs/latest")
pathlib.Path("runs/latest/b").write_text("b")
assert pathlib.Path("runs/a/b").read_text() == "b"
shutil.copytree(OUT, "tree")
shutil.move("tree", OUT / "tree")
assert (OUT / "tree/o.pt").read_text() == "new" and not os.path.exists("tree")
with tempfile.NamedTemporaryFile("w", dir=OUT, delete=False) as file:
    file.write("part")
os.replace(file.name, OUT / "whole")
assert (OUT / "whole").read_text() == "part" and not os.path.exists(file.name)
with bz2.open(OUT / "f.bz2", "wb") as file:
    file.write(b"x")
assert fails(FileNotFoundError, open, OUT / "nowhere/x", "w") and fails(FileNotFoundError, open, "nowhere/x", "w")
assert pickle.loads(pickle.dumps(os.remove)) is os.remove and copy.deepcopy(open) is open
class Holder:
    open = open
assert Holder().open is open
os.chmod(OUT / "o.pt", 0o600)
os.remove(OUT / "o.pt")
assert fails(FileNotFoundError, os.remove, OUT / "o.pt") and not os.path.exists("linked/o.pt")
os.chdir(HERE)
assert open("old.pt").read() == "new"
"""


def test_a_run_finds_what_it_has_written_and_the_user_none_of_it(train, tmp_path, outside):
    for path, text in [("old.pt", "old"), ("log.txt", "1"), ("data/a.csv", "a"), ("data/b.csv", "b")]:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    (outside / "sub").mkdir()
    (outside / "sub/f").write_text("f")
    (outside / "o.pt").write_text("o")
    (tmp_path / "linked").symlink_to(outside)

    def files():
        paths = [path for top in (tmp_path, outside) for path in top.rglob("*")]
        paths = [path for path in paths if path.suffix not in (".db", ".json", ".py", ".db-wal", ".db-shm")]
        return {path: (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in paths if "cache" not in str(path)}

    before = files()
    calls = "".join(f"\n    {line}" for line in CALLS.splitlines())
    train(f"if IS_AGAIN:{calls}")
    assert files() == before


def test_trackers_are_not_told_twice(train):
    train("assert (os.environ.get('WANDB_MODE') == 'disabled') == IS_AGAIN")


def test_what_the_first_run_has_changed_is_said(train, tmp_path):
    (tmp_path / "old.txt").write_text("before")
    ran = train("open('old.txt', 'a').write(ME)")
    assert "as the first run has left them" in ran.said and "old.txt" in ran.said


def test_the_script_is_that_of_the_first_run(train, tmp_path):
    # Edited while it runs.
    train("if not IS_AGAIN: pathlib.Path('train.py').write_text('raise SystemExit(5)')")


LIGHTNING = """
import os, pathlib, torch, lightning
from lightning.pytorch.loggers import CSVLogger
HERE, OUT = pathlib.Path(os.environ["HERE"]), pathlib.Path(os.environ["OUT"])
print(f"{os.getpid()}", flush=True)
lightning.seed_everything(0, verbose=False)
x = torch.rand(64, 4) + 0.1
x[37, 2] = 0

class Regression(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(4, 1)

    def training_step(self, batch, number):
        loss = self.body(batch[0].log()).pow(2).mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)

saving = lightning.pytorch.callbacks.ModelCheckpoint(OUT / "checkpoints", every_n_train_steps=1, save_last=True)
trainer = lightning.Trainer(
    max_epochs=2, accelerator="cpu", logger=CSVLogger("logs", flush_logs_every_n_steps=1), callbacks=[saving],
    log_every_n_steps=1, enable_progress_bar=False, enable_model_summary=False,
)
last = OUT / "checkpoints/last.ckpt"
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=8)
trainer.fit(Regression(), data, ckpt_path=last if last.exists() else None)
"""


@needs("lightning")
def test_lightning_logs_and_saves_once(run, tmp_path, outside):
    ran = run(LIGHTNING, environment={"HERE": str(tmp_path), "OUT": str(outside)})
    assert ran.code == 1 and ran.producer["op"] == "log", ran.said
    assert not any("repeat" in note or "closely" in note for note in ran.result["notes"]), ran.result["notes"]
    assert [path.name for path in (tmp_path / "logs/lightning_logs").iterdir()] == ["version_0"]
    rows = (tmp_path / "logs/lightning_logs/version_0/metrics.csv").read_text().splitlines()
    steps = [row.split(",")[-1] for row in rows]
    assert len(steps) == len(set(steps)) and not list(outside.glob("checkpoints/*-v1*"))


@needs("transformers", "accelerate")
def test_transformers_saves_once(run, tmp_path, outside):
    text = """
        import os, pathlib, torch
        from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments, set_seed
        from transformers.trainer_utils import get_last_checkpoint

        HERE, OUT = os.environ["HERE"], os.environ["OUT"]
        set_seed(0)

        class Rows(torch.utils.data.Dataset):
            def __init__(self):
                self.x = torch.rand(64, 4) + 0.1
                self.x[37, 2] = 0

            def __len__(self):
                return 64

            def __getitem__(self, i):
                return {"x": self.x[i]}

        class Model(PreTrainedModel):
            config_class = PretrainedConfig

            def __init__(self, config):
                super().__init__(config)
                self.body = torch.nn.Linear(4, 1)
                self.post_init()

            def _init_weights(self, module):
                pass

            def forward(self, x):
                return {"loss": self.body(x.log()).pow(2).mean()}

        arguments = TrainingArguments(
            output_dir=WHERE, save_steps=1, logging_steps=1, per_device_train_batch_size=4, report_to=[], use_cpu=True,
            disable_tqdm=True, max_steps=40, save_total_limit=2,
        )
        trainer = Trainer(Model(PretrainedConfig()), arguments, train_dataset=Rows())
        has_any = os.path.isdir(WHERE) and get_last_checkpoint(WHERE)
        trainer.train(resume_from_checkpoint=True if has_any else None)
    """
    for where, folder in [("'saved'", tmp_path / "saved"), ("OUT + '/saved'", outside / "saved")]:
        ran = run(text.replace("WHERE", where), environment={"HERE": str(tmp_path), "OUT": str(outside)})
        assert ran.code == 1 and ran.producer["op"] == "log", ran.said
        assert not any("repeat" in note or "closely" in note for note in ran.result["notes"]), ran.result["notes"]
        steps = sorted(int(path.name.split("-")[1]) for path in folder.glob("checkpoint-*"))
        assert steps and steps[-1] == ran.result["break"]["step"] and len(steps) <= 2
