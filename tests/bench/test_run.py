"""The benchmark's command: what it prints, not what it measures."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.lab.lab import needs_lab

RUN = Path(__file__).parent / "run"


@pytest.mark.slow
def test_a_figure_is_one_json_object_with_its_key() -> None:
    needs_lab()
    argv = [str(RUN), "--json", "idle_conn_kib"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
    assert list(json.loads(done.stdout)) == ["idle_conn_kib"]


@pytest.mark.slow
def test_an_unknown_name_is_a_usage_error_that_lists_the_known_ones() -> None:
    done = subprocess.run([str(RUN), "speed"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "conn_cpu_vs_haproxy" in done.stderr
