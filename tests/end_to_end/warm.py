"""Kedro commands of one project without a start for each: the libraries are imported once, each command is a fork.

Run in the project's folder. A request is a line of JSON on standard input, `{"arguments": [...], "output": path}`;
the answer is a line with the exit status. A command has its own process, as from a shell: nothing of one is left for
the next.
"""

import json
import os
import sys
from pathlib import Path

from kedro.framework.cli.cli import KedroCLI
from kedro.framework.startup import bootstrap_project


def command(arguments: list[str], output: str) -> None:
    """Run in the forked process, which ends with it."""
    written = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(written, stream.fileno())
    sys.argv = ["kedro", *arguments]
    KedroCLI(Path.cwd())()


def main() -> None:
    """Answer requests until standard input ends."""
    bootstrap_project(Path.cwd())
    import tradewind.pipeline_registry as registry

    registry.register_pipelines()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            command(asked["arguments"], asked["output"])
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
