"""The commands as a user gives them, in the working directory."""

import signal
import subprocess
import sys
from contextlib import contextmanager


def tidegate(*arguments, **kwargs):
    """Run the command in the working directory; stdout and stderr as one text."""
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,  # what hangs, not what is slow beside other work
        **kwargs,
    )


def dvc(*arguments, **kwargs):
    """Run DVC in the working directory; stdout and stderr as one text."""
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,  # what hangs, not what is slow beside other work
        **kwargs,
    )


def _heed_ctrl_c():
    """Tests that a shell runs in the background inherit an ignored SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(*command, log):
    """A command in the background, in a group of its own as a terminal gives it; ended with the block."""
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_heed_ctrl_c
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
