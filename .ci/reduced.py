"""A real run of a line that is no default one, on a part of its rows, in a worktree of the last commit.

    python .ci/reduced.py finance_topic

All stages run, from the source to a release. What is changed in params.yaml stands below: most rows become a reserve
that no stage reads, and the gate asks for what so few of them teach. A line that is small runs as it is.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

CHANGES = {
    "finance_topic": {
        "split": {"train": 0.2, "validation": 0.1, "test": 0.1, "reserve": 0.6},
        "train": {"epochs": 2, "max_length": 32},
        "quality_gate": {"checks": [{"metric": "accuracy", "min": 0.8}]},
        "release_gate": {"calibration_slack": 0.1},
    },
    "support_answer": {},
    "recommend": {},
}
SHARED = ("downloads", "models")  # under .tidegate/: pinned, so that nothing is fetched twice


def main(line: str) -> int:
    """Run a line; the exit code of the first command that fails."""
    root = Path.cwd()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "project")
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(folder)], check=True)
        try:
            reduce(folder / "params.yaml", line)
            for name in SHARED:
                (root / ".tidegate" / name).mkdir(parents=True, exist_ok=True)
                (folder / ".tidegate").mkdir(exist_ok=True)
                (folder / ".tidegate" / name).symlink_to(root / ".tidegate" / name)
            return run(folder, line)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(folder)], check=True)


def reduce(params: Path, line: str) -> None:
    """Write the changes of a line into params.yaml."""
    content = yaml.safe_load(params.read_text(encoding="utf-8"))
    for block, changes in CHANGES[line].items():
        content["lines"][line][block].update(changes)
    params.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def run(folder: Path, line: str) -> int:
    """Sync, then every stage."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    (folder / "data" / line / "inbox.dvc").unlink(missing_ok=True)
    for command in (["-m", "flows.cli", "sync", line], ["-m", "dvc", "repro", f"release@{line}"]):
        code = subprocess.run([sys.executable, *command], cwd=folder, env=environment, check=False).returncode
        if code:
            return code
    return 0 if (folder / "data" / line / "release" / "bundle" / "manifest.json").exists() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
