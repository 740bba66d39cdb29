"""`python -m serving`: the service without Prefect and DVC around it. `tidegate serve` is the same."""

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from tasks.core.errors import TidegateError
from tasks.core.quiet import silence

if TYPE_CHECKING:
    from serving.options import Options

FORMAT = "%(asctime)s %(levelname)s %(message)s"


def main() -> int:
    """Read arguments and params.yaml, serve, return the exit code: 0 ended as told, 1 failed, 2 wrong settings."""
    silence()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=FORMAT)
    logging.getLogger("tidegate").setLevel(logging.INFO)
    arguments = parser().parse_args()
    try:
        return _run(arguments)
    except TidegateError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code


def parser() -> argparse.ArgumentParser:
    """The arguments; those not given are as params.yaml says."""
    found = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    found.add_argument("--folder", help="the serving folder: a path or any fsspec URL")
    found.add_argument("--host", help="127.0.0.1 unless there is a team.yaml with keys")
    found.add_argument("--port", type=int, help="0 lets the system choose")
    found.add_argument("--lines", nargs="+", default=(), metavar="LINE", help="serve these alone")
    found.add_argument("--no-log", dest="log", action="store_false", help="keep no prediction log")
    found.add_argument("--keyless", dest="keys", action="store_false", help="ignore team.yaml; loopback only")
    found.add_argument("--supervised", action="store_true", help="restart on death, and on SIGHUP without a gap")
    found.add_argument("--listener", type=int, help=argparse.SUPPRESS)
    found.add_argument("--ready", type=int, help=argparse.SUPPRESS)
    found.add_argument("--only-ready", action="store_true", help=argparse.SUPPRESS)
    return found


def _run(arguments: argparse.Namespace) -> int:
    from serving.options import Options
    from serving.settings import load_serving

    options = Options(
        load_serving(),
        tuple(arguments.lines),
        arguments.log,
        arguments.keys,
        arguments.listener,
        arguments.ready,
        arguments.only_ready,
    ).having(folder=arguments.folder, host=arguments.host, port=arguments.port)
    return run(options, arguments.supervised)


def run(options: "Options", supervised: bool) -> int:
    """Serve in this process, or in children of it."""
    if supervised:
        from serving.supervisor import supervise

        return supervise(options)
    from serving.server import serve

    return serve(options)


if __name__ == "__main__":
    sys.exit(main())
