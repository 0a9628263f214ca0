"""The scripts on the causes' pages break, their healthy versions do not, and denan names the cause."""

from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "crates/denan-diagnose/pages"
START = "## An example that breaks\n\n```python\n"


def examples():
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text()
        if START in text:
            sick = text.split(START)[1].split("```")[0]
            change = text.split("## The same, healthy\n\n```diff\n")[1].split("```")[0]
            yield pytest.param(page.stem, sick, patched(sick, change), id=page.stem)


def patched(text, change):
    lines, at = text.splitlines(), 0
    for line in change.splitlines():
        if line.startswith("-"):
            at = lines.index(line[1:])
            del lines[at]
        elif line.startswith("+"):
            lines.insert(at, line[1:])
            at += 1
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("cause, sick, healthy", list(examples()))
def test_the_script_of_a_page_breaks_and_its_healthy_version_does_not(run, cause, sick, healthy):
    broken = run(sick)
    assert (broken.code, broken.cause) == (1, cause), broken.said
    assert run(healthy).code == 0
