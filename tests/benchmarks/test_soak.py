"""A short soak of the real service with the tiny model; the long one is `python benchmarks/soak.py`."""

import subprocess
import sys
from pathlib import Path

import postgres
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.skipif(postgres.programs() is None, reason="no PostgreSQL here: apt-get install postgresql")
def test_no_wrong_answer_and_none_lost(bundle, tmp_path):
    command = [sys.executable, "benchmarks/soak.py", "--minutes", "1.5", "--swap-seconds", "7", "--texts", "100"]
    command += ["--release", str(bundle), "--work", str(tmp_path / "soak")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
