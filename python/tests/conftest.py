"""Runs scripts under the installed denan, as a user would."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass

import pytest


@dataclass
class Ran:
    code: int
    printed: str
    said: str
    result: dict | None

    @property
    def cause(self):
        return self.result["causes"][0]["rule"]

    @property
    def producer(self):
        return self.result["break"]["producer"]


@pytest.fixture
def run(tmp_path):
    """`run(text)` writes a script and runs `denan run` on it; `command` replaces the script's name. Cures take several runs
    more, and are tried where `cure` names them."""

    def run(text, command=("train.py",), files=None, environment=None, cure="off"):
        (tmp_path / "train.py").write_text(textwrap.dedent(text))
        for name, content in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(content))
        number = len(list(tmp_path.glob("*.db")))
        result = tmp_path / f"{number}.json"
        done = subprocess.run(
            [sys.executable, "-m", "denan", "run", "--format", "json", "--output", result, "--color", "never"]
            + ["--record", tmp_path / f"{number}.db", "--cure", cure, *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, **(environment or {})},
            timeout=300,
        )
        document = json.loads(result.read_text()) if result.exists() else None
        return Ran(done.returncode, done.stdout, done.stderr, document)

    return run


@pytest.fixture
def plain(tmp_path):
    """What a script prints without denan."""

    def plain(text):
        path = tmp_path / "plain.py"
        path.write_text(textwrap.dedent(text))
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True, cwd=tmp_path)
        return done.stdout

    return plain
