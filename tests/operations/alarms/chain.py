"""Prometheus and Alertmanager as they are shipped, on private ports."""

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

MONITORING = Path(__file__).resolve().parents[3] / "deploy/monitoring"
PROGRAMS = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


def require_programs() -> None:
    """Skip where the two servers are not installed."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: apt-get install {' '.join(missing)} (tests/install_servers.sh)")


class Servers:
    """The two servers, with the shipped files in a folder of their own, where only ports and times are changed.

    Attributes:
        processes: by program.
        address: of Prometheus.
    """

    def __init__(self, folder: Path, ports: Mapping[str, int], changes: Mapping[str, str]) -> None:
        """Start them.

        Args:
            folder: for copies and data.
            ports: by the shipped port, the one of this test; 9090 is Prometheus, 9093 Alertmanager.
            changes: other texts of the shipped files, and what they become.
        """
        self.folder, self.processes = folder, dict[str, subprocess.Popen[bytes]]()
        shutil.copytree(MONITORING, folder / "monitoring")
        for path in (folder / "monitoring").glob("*.yml"):
            text = path.read_text()
            for before, after in {
                **{f"127.0.0.1:{one}": f"127.0.0.1:{to}" for one, to in ports.items()},
                **changes,
            }.items():
                text = text.replace(before, after)
            path.write_text(text)
        self.address = f"http://127.0.0.1:{ports['9090']}"
        self._start("prometheus-alertmanager", f"--config.file={folder}/monitoring/alertmanager.yml",
                    f"--storage.path={folder}/alertmanager", f"--web.listen-address=127.0.0.1:{ports['9093']}",
                    "--cluster.listen-address=")  # fmt: skip
        self._start("prometheus", f"--config.file={folder}/monitoring/prometheus.yml",
                    f"--storage.tsdb.path={folder}/prometheus",
                    f"--web.listen-address=127.0.0.1:{ports['9090']}", "--rules.alert.resend-delay=5s")  # fmt: skip
        deadline = time.monotonic() + 60
        for address in (self.address, f"http://127.0.0.1:{ports['9093']}"):
            while not _is_ready(f"{address}/-/ready"):
                assert time.monotonic() < deadline, (folder / "prometheus.log").read_text()[-2000:]
                time.sleep(0.1)

    def _start(self, program: str, *words: str) -> None:
        with (self.folder / f"{program}.log").open("wb") as log:
            self.processes[program] = subprocess.Popen(
                [program, *words, "--log.level=warn"], stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self, program: str) -> None:
        """End one as a crash would."""
        self.processes[program].kill()
        self.processes[program].wait(30)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What Prometheus answers to a query, now."""
        words = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"{self.address}/api/v1/query?{words}", timeout=30) as answer:
            found = json.loads(answer.read())
        assert found["status"] == "success", found
        result: list[dict[str, Any]] = found["data"]["result"]
        return result

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            process.wait(30)


@contextmanager
def servers(folder: Path, ports: Mapping[str, int], changes: Mapping[str, str]) -> Iterator[Servers]:
    """The two servers while the block lasts.

    Args:
        folder: for copies and data.
        ports: by the shipped port.
        changes: other texts of the shipped files, and what they become.
    """
    found = Servers(folder, ports, changes)
    try:
        yield found
    finally:
        found.close()


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return int(answer.status) == 200
    except OSError:
        return False
