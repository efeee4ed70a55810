"""The machine of these tests."""

import os
import shutil
from pathlib import Path

import pytest

from tests.deploy.machine import ROOT, TOOLS, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.bin.mkdir()
    (tmp_path / "home").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool, path=os.defpath + ":/usr/sbin:/sbin")
        assert found, f"{tool} is on every Debian"
        (made.bin / tool).symlink_to(found)
    shutil.copytree(ROOT / "deploy", made.checkout / "deploy")
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, made.checkout)
    return made
