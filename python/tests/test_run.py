"""The ways in which a training is started, and what is not denan's to change."""

import os
import subprocess
import sys

TRAINING = """
import torch
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    loss = model(torch.randn(8, 4)).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_module_is_run_like_a_script(run):
    ran = run("", ("-m", "package.training", "--deep"), {"package/__init__.py": "", "package/training.py": TRAINING})
    assert (ran.code, ran.result["steps"]) == (0, 4), ran.said
    assert ran.result["engine"].startswith("torch 2.")


def test_any_command_is_watched(run):
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "1", "--standalone", "train.py")
    ran = run(TRAINING, ("--", *launcher))
    assert (ran.code, ran.result["steps"]) == (0, 4), ran.said


def test_arguments_belong_to_the_script(run):
    ran = run("import sys; print(sys.argv[1:])", ("train.py", "--cure", "off", "-q", "--", "x"))
    assert ran.printed == "['--cure', 'off', '-q', '--', 'x']\n"
    assert ran.code == 3


def test_the_exit_code_of_a_script_that_fails_is_kept(run):
    ran = run(TRAINING + "\nraise SystemExit(7)\n")
    assert (ran.code, ran.result["outcome"]) == (7, "child-failed")


def test_the_sitecustomize_of_the_user_still_runs(run, tmp_path):
    files = {"own/sitecustomize.py": "import os; os.environ['OWN'] = 'yes'"}
    path = os.pathsep.join(filter(None, [str(tmp_path / "own"), os.environ.get("PYTHONPATH")]))
    ran = run("import os; print(os.environ.get('OWN'))" + TRAINING, files=files, environment={"PYTHONPATH": path})
    assert ran.printed == "yes\n", ran.said
    assert ran.result["steps"] == 4


def test_what_is_not_seeded_repeats_itself_in_the_second_run(run):
    ran = run(
        """
        import random, torch
        model = torch.nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(6):
            x = torch.randn(8, 4) * random.random()
            if step == 4:
                x = x * float("inf")
            loss = model(x).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """
    )
    assert ran.result["break"]["step"] == 4
    assert not any("repeat" in note for note in ran.result["notes"]), ran.result["notes"]
    assert ran.producer["op"] == "mul"


def test_the_program_says_its_version():
    said = subprocess.run([sys.executable, "-m", "denan", "--version"], capture_output=True, text=True).stdout
    assert said.startswith("denan ")
