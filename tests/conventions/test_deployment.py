"""What is shipped for a machine is hardened, can be given, and lets through what it should."""

import http.server
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from tests.conftest import PROJECT
from tradewind.__main__ import SERVING, _parser
from tradewind.cli import cli
from tradewind.console import main as console
from tradewind.service_command import PERSON_NEEDED, Service

FOLDERS = (PROJECT / "docs/deployment", PROJECT / "docs/scheduling")
SERVICES = sorted(path for folder in FOLDERS for path in folder.glob("*.service"))
TIMERS = sorted(path for folder in FOLDERS for path in folder.glob("*.timer"))
RUNBOOK = (PROJECT / "docs/runbook.md").read_text()
EXPOSURE = 3.0
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not here")


def give(words: list[str]) -> None:
    """Parse a command as it would be parsed; nothing is done.

    Raises:
        click.ClickException, SystemExit: it cannot be given.
    """
    program, *rest = words
    if Path(program).name == "kedro":
        _make(cli, "kedro", rest)
    elif rest[:1] and rest[0] in SERVING:
        _make(console, "tradewind", rest)
    else:
        _parser().parse_args(rest)


def _make(command: click.Command, name: str, words: list[str]) -> None:
    context = click.Context(command, info_name=name)
    while isinstance(command, click.Group):
        inner = command.get_command(context, words[0])
        if inner is None:
            raise click.UsageError(f"there is no {words[0]}")
        command, words = inner, words[1:]
        context = click.Context(command, info_name=command.name, parent=context)
    command.make_context(command.name or "", list(words), parent=context.parent)


def commands(text: str) -> Iterator[list[str]]:
    """The lines of every block of bash."""
    for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def own(words: list[str]) -> bool:
    return Path(words[0]).name in ("tradewind", "kedro")


# Other programs of the runbook: those of the system that the installation is on.
SYSTEM = {("systemctl", "restart"), ("systemctl", "start"), ("systemctl", "stop"), ("systemctl", "status"),
          ("timedatectl", "status")}  # fmt: skip


def test_the_runbook_has_twenty_incidents_whose_commands_can_be_given() -> None:
    incidents = re.split(r"\n### ", RUNBOOK.split("\n## Incidents\n")[1].partition("\n## ")[0])[1:]
    assert len(incidents) >= 20 and len({one.splitlines()[0] for one in incidents}) == len(incidents)
    given = 0
    names = {path.stem for path in SERVICES}
    for incident in incidents:
        found = list(commands(incident))
        assert any(own(words) for words in found), incident.splitlines()[0]
        assert "*Seen:*" in incident
        for words in found:
            if own(words):
                give(words)
                given += 1
            else:
                assert tuple(words[:2]) in SYSTEM and set(words[2:]) <= names, words
    assert given > 45


@pytest.mark.parametrize("line", [
    "tradewind halt", "tradewind resume --why x", "tradewind rollout forward", "tradewind models rollback --expected x",
    "kedro retrain --becaus x", "tradewind fly", "tradewind restore",
])  # fmt: skip
def test_a_command_that_cannot_be_given_is_caught(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((click.ClickException, SystemExit)):
        give(shlex.split(line))


def test_the_commands_of_the_deployment_can_be_given() -> None:
    found = [words for words in commands((PROJECT / "docs/howto/deployment.md").read_text()) if own(words)]
    found += [words for name in ("backup", "rollout") for words in
              commands((PROJECT / f"docs/howto/{name}.md").read_text()) if own(words)]  # fmt: skip
    for service in (PROJECT / "docs/deployment").glob("*.service"):
        found += [shlex.split(line) for line in re.findall(r"^ExecStart=(.*)$", service.read_text(), re.MULTILINE)]
    compose = yaml.safe_load((PROJECT / "docs/deployment/compose.yml").read_text())
    found += [[str(word) for word in one["command"]] for one in compose["services"].values() if "command" in one]
    assert len(found) > 18
    for words in found:
        give(words)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units, with programs that are here."""
    folder = tmp_path_factory.mktemp("units")
    for path in (*SERVICES, *TIMERS):
        text = re.sub(r"/opt/tradewind/\.venv/bin/\w+", "/bin/true", path.read_text())
        (folder / path.name).write_text(text)
    return folder


def verified(*paths: Path) -> tuple[int, str]:
    done = subprocess.run([str(ANALYZE), "verify", *map(str, paths)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@needs_systemd
def test_systemd_finds_nothing_wrong(installed: Path, tmp_path: Path) -> None:
    assert len(SERVICES) == 11 and len(TIMERS) == 7
    assert verified(*sorted(installed.iterdir())) == (0, "")
    wrong = tmp_path / "tradewind-serve.service"
    wrong.write_text((installed / "tradewind-serve.service").read_text().replace("PrivateTmp=", "PrivatTmp="))
    assert "PrivatTmp" in verified(wrong)[1]


def test_a_service_that_needs_a_person_is_not_started_again() -> None:
    """Of what runs until it is asked to end; elsewhere it is started again, ten times an hour at most."""
    kept = {path.stem: path.read_text() for path in SERVICES if "Type=exec" in path.read_text()}
    assert set(kept) == {"tradewind-paper", "tradewind-serve", "tradewind-standby"}
    for name, text in kept.items():
        assert re.findall(r"^RestartPreventExitStatus=(.*)$", text, re.MULTILINE) == [str(PERSON_NEEDED)], name
        assert "Restart=on-failure" in text and "StartLimitBurst=10" in text and "StartLimitIntervalSec=1h" in text
    for command in (cli.get_command(click.Context(cli), "paper"), console.get_command(click.Context(console), "serve")):
        assert isinstance(command, Service)
    compose = yaml.safe_load((PROJECT / "docs/deployment/compose.yml").read_text())
    assert {one["restart"] for one in compose["services"].values() if "restart" in one} == {"on-failure:10"}


def test_whatever_has_failed_for_good_is_told() -> None:
    told = [path for path in SERVICES if "OnFailure=tradewind-alarm@%n.service\n" in path.read_text()]
    assert [path.name for path in SERVICES if path not in told] == ["tradewind-alarm@.service"]


def exposure(path: Path) -> float:
    words = [str(ANALYZE), "security", "--offline=yes", "--no-pager", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    return float(found[1])


@needs_systemd
@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_a_service_is_hardly_exposed(service: Path, installed: Path) -> None:
    assert exposure(installed / service.name) < EXPOSURE


@needs_systemd
def test_a_service_without_its_walls_is_noticed(installed: Path, tmp_path: Path) -> None:
    text = (installed / "tradewind-serve.service").read_text()
    bare = tmp_path / "tradewind-serve.service"
    bare.write_text(
        re.sub(r"^(Protect|Private|Restrict|SystemCall|Capability|NoNew|IPAddress).*\n", "", text, flags=re.M)
    )
    assert exposure(bare) >= EXPOSURE


def test_secrets_are_credentials_and_in_no_environment() -> None:
    for service in SERVICES:
        text = service.read_text()
        assert "User=tradewind" in text
        for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE):
            assert not re.search(r"(?i)key|token|secret|password", line)
        for option in ("--tokens", "--key"):
            assert all(one.startswith("%d/") for one in re.findall(rf"{option} (\S+)", text)), service.name
        if "%d/" in text:
            assert re.search(r"^LoadCredential=", text, re.MULTILINE)
    compose = yaml.safe_load((PROJECT / "docs/deployment/compose.yml").read_text())
    assert all("environment" not in one for one in compose["services"].values())


def test_the_compose_file_opens_one_port() -> None:
    compose = yaml.safe_load((PROJECT / "docs/deployment/compose.yml").read_text())
    services = compose["services"]
    assert {name: one["ports"] for name, one in services.items() if "ports" in one} == {"proxy": ["443:443"]}
    for name in ("serve", "paper", "backup"):
        one = services[name]
        assert one["read_only"] and one["cap_drop"] == ["ALL"] and one["network_mode"] == "service:proxy"
        assert set(one.get("secrets", ())) <= set(compose["secrets"])
    assert (PROJECT / "docs/deployment" / services["serve"]["build"]["context"] / "Containerfile").resolve().is_file()


# The proxy --------------------------------------------------------------------------------------------------------

NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)


class Upstream(http.server.BaseHTTPRequestHandler):
    """Says what it was asked."""

    def do_GET(self) -> None:
        said = (
            f"{self.path} {self.headers.get('Authorization', '')} {self.headers.get('X-Forwarded-Proto', '')}".encode()
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real nginx with the shipped configuration on other ports and paths, before an upstream of ours."""
    if NGINX is None or shutil.which("openssl") is None:
        pytest.skip("nginx or openssl is not here")
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    port = free_port()
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out",
            "certificate.pem"]  # fmt: skip
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    text = (PROJECT / "docs/deployment/nginx.conf").read_text()
    for old, new in (("443 ssl", f"127.0.0.1:{port} ssl"), ("127.0.0.1:8470", f"127.0.0.1:{upstream.server_port}"),
                     ("/etc/tradewind/tls", str(tmp_path)), ("/var/log/nginx", str(tmp_path))):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in
                      ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
    config = tmp_path / "nginx.conf"
    config.write_text(f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; daemon off; worker_processes 1;"
                      f"events {{}} http {{ {folders} {text} }}\n")  # fmt: skip
    running = subprocess.Popen([NGINX, "-c", str(config), "-p", str(tmp_path), "-e", str(tmp_path / "error.log")])
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert running.poll() is None and time.monotonic() < deadline, (tmp_path / "error.log").read_text()
                time.sleep(0.05)
        yield f"https://localhost:{port}", tmp_path
    finally:
        running.terminate()
        running.wait(10)
        upstream.shutdown()
        upstream.server_close()


def asked(address: str, folder: Path, body: bytes | None = None) -> tuple[int, str, dict[str, str]]:
    context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    request = urllib.request.Request(address, body, {"Authorization": "Bearer CANARY-TOKEN"})
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, "", dict(error.headers)


def test_the_proxy_lets_through_what_it_should(proxy: tuple[str, Path]) -> None:
    address, folder = proxy
    status, said, headers = asked(f"{address}/v1/models?q=CANARY-QUERY", folder)
    assert status == 200 and said == "/v1/models?q=CANARY-QUERY Bearer CANARY-TOKEN https"
    assert headers["Strict-Transport-Security"] and "nginx/" not in headers["Server"]
    assert [asked(address + path, folder)[0] for path in ("/healthz", "/readyz", "/v2/health/live")] == [200] * 3
    for path in ("/metrics", "/", "/docs", "/v10/x", "/control", "/v1/../metrics"):
        assert asked(address + path, folder)[0] == 404, path
    assert asked(f"{address}/v1/predict/price", folder, b"x" * 300_000)[0] == 413
    assert asked(f"{address}/v1/predict/price", folder, b"x" * 200_000)[0] == 200
    logged = (folder / "tradewind.log").read_text()
    assert "GET /v1/models 200" in re.sub(r"\?\S*", "", logged) and "CANARY" not in logged


def test_the_proxy_speaks_no_old_tls(proxy: tuple[str, Path]) -> None:
    address, _ = proxy
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    host, port = address.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), 5) as plain, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(plain)
    with pytest.raises((urllib.error.URLError, OSError)):
        urllib.request.urlopen(f"http://localhost:{port}/v1/models", timeout=5).read()
