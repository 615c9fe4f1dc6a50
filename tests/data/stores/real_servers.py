"""Real servers that the tests start for themselves: private ports of 127.0.0.1, temporary folders, gone afterwards."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
import pytest

_START_S = 60.0
USER, PASSWORD = "trader", "s3cret-of-the-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """PostgreSQL with scram passwords, durable as installed (fsync and synchronous_commit are on)."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        on_path = shutil.which("pg_ctl")
        if not found and on_path is None:
            pytest.skip("PostgreSQL is not installed: apt-get install postgresql (tests/install_servers.sh)")
        self._programs = found[-1].parent if found else Path(str(on_path)).parent
        # Of its own under /tmp: pytest's folders are closed to the user that the server runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="tradewind-postgres-"))
        self.port = free_port()
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            user = "postgres" if _is_user("postgres") else "nobody"
            self._as_user = ["runuser", "-u", user, "--"]
            shutil.chown(self.folder, user)
        try:
            secret = self.folder / "password"
            secret.write_text(PASSWORD)
            secret.chmod(0o644)
            self._run("initdb", "--no-sync", "--username", USER, "--auth=scram-sha-256", "--encoding=UTF8",
                      "--locale=C", f"--pwfile={secret}")  # fmt: skip
            self.start()
        except (subprocess.SubprocessError, OSError) as error:
            self.remove()
            pytest.skip(f"PostgreSQL could not be started here: {getattr(error, 'stderr', None) or error}")

    def url(self, password: str = PASSWORD, database: str = "postgres") -> str:
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "start", "-w", "-s", "-l", str(self.folder / "log"), "-o", options)

    def crash(self) -> None:
        """Ends it as a power failure would: nothing is flushed, it recovers from its log."""
        self._run("pg_ctl", "stop", "-w", "-s", "-m", "immediate")

    def remove(self) -> None:
        if (self.folder / "cluster/postmaster.pid").exists():
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._programs / program), "-D", str(self.folder / "cluster"), *arguments]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_START_S, cwd=self.folder)


class InfluxServer:
    """InfluxDB 1.x with passwords, which cuts answers short; every write is synced before it is answered."""

    def __init__(self) -> None:
        program = shutil.which("influxd")
        if program is None:
            pytest.skip("InfluxDB is not installed: apt-get install influxdb (tests/install_servers.sh)")
        self._program = program
        self.folder = Path(tempfile.mkdtemp(prefix="tradewind-influx-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (self.folder / "influxdb.conf").write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n'
            f'[meta]\ndir = "{self.folder}/meta"\nlogging-enabled = false\n'
            f'[data]\ndir = "{self.folder}/data"\nwal-dir = "{self.folder}/wal"\nquery-log-enabled = false\n'
            "[monitor]\nstore-enabled = false\n"
            f'[http]\nbind-address = "127.0.0.1:{self.port}"\nauth-enabled = true\nlog-enabled = false\n'
            "max-row-limit = 100\n"
            "[logging]\nsuppress-logo = true\n"
        )
        self.start()
        answer = self.ask(f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES")
        assert answer.status_code == 200, answer.text

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [self._program, "run", "-config", str(self.folder / "influxdb.conf")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + _START_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                httpx.get(f"{self.url}/ping")
                return
            except httpx.TransportError:
                time.sleep(0.05)  # a server cannot tell us when it will be ready
        log_text = (self.folder / "log").read_text()[-500:]
        self.remove()
        pytest.skip(f"InfluxDB could not be started here: {log_text}")

    def crash(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, query: str) -> httpx.Response:
        return httpx.post(f"{self.url}/query", data={"q": query}, auth=(USER, PASSWORD))

    def remove(self) -> None:
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_user(name: str) -> bool:
    if getpass.getuser() == name:
        return True
    return subprocess.run(["id", "-u", name], capture_output=True, check=False).returncode == 0
