"""Debian's PostgreSQL, started for the tests: in a folder of its own, on a socket in it, durable for nobody."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAMS = ("initdb", "pg_ctl", "createdb")


def programs() -> Path | None:
    """The folder of initdb and pg_ctl: where Debian keeps the newest, or on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found += [Path(where).parent] if (where := shutil.which("initdb")) else []
    return next((path for path in found if all((path / name).exists() for name in PROGRAMS)), None)


class Server:
    """A server that can be stopped and started. Root may not run it: then it is the user `postgres`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-pg-"))  # a socket's path must be short
        self.user = "postgres" if os.geteuid() == 0 else None
        self.made = 0
        if self.user:
            shutil.chown(self.folder, self.user)
        self.call("initdb", "-D", self.folder / "data", "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()

    def call(self, program, *arguments):
        command = [programs() / program, *arguments]
        with (self.folder / "output").open("ab") as output:
            subprocess.run(
                command, check=True, timeout=60, user=self.user, cwd=self.folder, stdout=output, stderr=output
            )

    def start(self):
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=40"
        self.call("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-o", options, "-w", "start")

    def stop(self):
        self.call("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")

    def url(self):
        """A database that is not there yet."""
        self.made += 1
        self.call("createdb", "-h", self.folder, "-U", "tester", f"made{self.made}")
        return f"postgresql://tester@/made{self.made}?host={self.folder}"
