"""Every Python example of the developer's guide runs as it stands and prints what the guide says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide-developer.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^### (.+?)$.*?```python\n(.*?)```\n\n```text\n(.*?)```", GUIDE, re.DOTALL | re.MULTILINE)


def test_every_python_block_is_an_example_with_its_output() -> None:
    assert len(EXAMPLES) == GUIDE.count("```python") == 3


@pytest.mark.parametrize(("code", "output"), [pytest.param(*rest, id=name) for name, *rest in EXAMPLES])
def test_example_prints_what_the_guide_says(code: str, output: str) -> None:
    # A process of its own: the example must need nothing but the light library and the repository's folder.
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == (output, "")


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code, _ in EXAMPLES])
def test_example_needs_no_more_than_the_light_library(code: str) -> None:
    heavy = "import sys\nassert not {'halle_node', 'libp2p', 'aiohttp', 'sqlalchemy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{code}\n{heavy}"], cwd=ROOT, capture_output=True, timeout=60, check=True)
