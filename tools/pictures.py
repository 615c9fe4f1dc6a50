"""Pictures of the documentation, made anew from a finished run: `make pictures` writes docs/images.

Each picture is what a user sees: a terminal of 100 columns, pages in a browser of 1,400 and 390 pixels, light and dark,
the first printed page. Needs the extra `pictures`, and a Chromium on the path or in the variable CHROMIUM.
"""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

PROJECT = Path(__file__).resolve().parents[1]
IMAGES = PROJECT / "docs/images"
REPORTS = PROJECT / "data/env/quick/08_reporting"
LARGEST = 150_000  # bytes
PAPER_DECISIONS = 300  # of three symbols, an hour each
WIDE, PHONE = (1400, 900), (390, 844)
# Cursor movements and the erasing of lines, by which a bar is drawn anew in its place.
_CONTROL = re.compile(r"\x1b\[(\d*)([A-K])|\x1b\[[?\d;]*[hlr]|(\r)|(\n)|\x1b\[[\d;]*m|[^\x1b\r\n]+|\x1b")

# Where the project lies on this machine says nothing to a reader.
_WITHOUT_PLACE = """place => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(place, "tradewind");
}"""


def main(names: list[str]) -> None:
    """Make the pictures of these names, or all."""
    chosen = names or list(PICTURES)
    unknown = sorted(set(chosen) - set(PICTURES))
    if unknown:
        raise SystemExit(f"Error: there is no picture {', '.join(unknown)}: choose of {', '.join(PICTURES)}")
    if not (REPORTS / "report.html").is_file() and "terminal" not in chosen:
        raise SystemExit(f"Error: {REPORTS / 'report.html'} is not there: run `kedro run --env quick` first")
    for name in chosen:
        PICTURES[name]()
        sys.stdout.write(f"{name}: made\n")


def terminal() -> None:
    """The end of a run in a terminal, and the bar on its way."""
    command = "kedro run --env quick --force"  # without it nothing would be left to do
    _of_run(command, _said_by(command.split()))


def report() -> None:
    """The head of the report: wide and narrow, light and dark; and its first printed page."""
    page = (REPORTS / "report.html").as_uri()
    for (width, height), width_name in ((WIDE, "wide"), (PHONE, "phone")):
        for scheme in ("light", "dark"):
            _shoot(page, f"report_{width_name}_{scheme}.png", (width, height), scheme)
    with _browser() as browser:
        opened = browser.new_page(viewport={"width": 794, "height": 1123})  # A4 at 96 dpi
        opened.goto(page)
        opened.wait_for_selector(
            ".figure[data-drawn]", timeout=120_000
        )  # the library is there, printing draws the rest
        printed = io.BytesIO(opened.pdf(format="A4", print_background=True, page_ranges="1"))
    _of_pdf(printed.getvalue(), "report_print.png")


def graph() -> None:
    """Kedro-Viz as it opens."""
    subprocess.run([_tool("kedro"), "viz", "build"], cwd=PROJECT, check=True)
    with _served(PROJECT / "build") as address:
        _shoot(address, "graph.png", WIDE, wait_ms=6000, stored={"KedroViz": '{"showFeatureHints": false}'})


def tracking() -> None:
    """MLflow's page of the newest run."""
    import mlflow

    store = f"sqlite:///{PROJECT / 'mlflow.db'}"
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("tradewind")
    (run,) = client.search_runs([experiment.experiment_id], "tags.verdict != ''", max_results=1)
    port = _free_port()
    command = [_tool("mlflow"), "ui", "--backend-store-uri", store, "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(f"http://127.0.0.1:{port}/health")
        page = f"http://127.0.0.1:{port}/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}"
        seen = {"mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true", "mlflow.workflowType_v1": '"machine_learning"'}
        _shoot(page, "tracking.png", WIDE, wait_ms=4000, stored=seen, awaited=run.info.run_name)
    finally:
        server.terminate()
        server.wait()


def site() -> None:
    """The front page of the documentation, with an answer of its search."""
    with _served(PROJECT / "site") as address:
        _shoot(address, "site.png", WIDE, wait_ms=3000)


def paper() -> None:
    """Pages of a paper account that has traded for a few simulated days, wide and on a phone."""
    folder, plan = PROJECT / "data/env/quick/09_paper/run", "data/env/quick/09_paper/rollout.yml"
    stages = (PROJECT / "conf/base/rollout.yml").read_text()
    (PROJECT / plan).parent.mkdir(parents=True, exist_ok=True)
    (PROJECT / plan).write_text(stages.replace(": data/09", ": data/env/quick/09"))
    changed = f"paper.port={_free_port()},paper.metrics_port=0,paper.speed=36000,paper.rollout={plan}"
    command = [_tool("kedro"), "paper", "--env", "quick", "--new-run", "--params", changed]
    shutil.rmtree(folder, ignore_errors=True)
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL) as account:
        try:
            _until((folder / "address.json").is_file, account)
            address = json.loads((folder / "address.json").read_text())["address"]
            _until(lambda: _state_of(address)["counts"].get("decisions", 0) >= PAPER_DECISIONS, account)
            for name in ("why", "chart", "rollout"):
                _shoot(f"{address}{name}", f"paper_{name}.png", WIDE)
            _shoot(address, "paper_phone.png", PHONE)
        finally:
            account.terminate()


PICTURES = {
    "terminal": terminal, "report": report, "graph": graph, "tracking": tracking, "site": site, "paper": paper,
}  # fmt: skip


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


def _shoot(
    address: str,
    name: str,
    size: tuple[int, int],
    scheme: str = "light",
    wait_ms: int = 2500,
    stored: dict[str, str] | None = None,
    awaited: str | None = None,
) -> None:
    """What a window of this size shows of a page after a while.

    Args:
        address: of the page.
        name: of the picture.
        size: width and height in pixels.
        scheme: light or dark, as the browser prefers it.
        wait_ms: until the page is drawn.
        stored: what the browser remembers of the page, such as that its introduction was seen.
        awaited: a text that the page shows once it is there.
    """
    with _browser() as browser:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        for key, value in (stored or {}).items():
            context.add_init_script(f"localStorage.setItem({key!r}, {value!r})")
        page = context.new_page()
        page.goto(address, timeout=300_000)
        if awaited is not None:
            page.get_by_text(awaited).first.wait_for(timeout=300_000)
        page.wait_for_timeout(wait_ms)
        page.evaluate(_WITHOUT_PLACE, str(PROJECT))
        _keep(page.screenshot(), name)


def _keep(content: bytes, name: str) -> None:
    """As a PNG, of fewer colours until it is small enough; those of thin lines are kept, or two lines look like one."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    for colours in (None, 256, 128, 64, 32, 16):
        out = io.BytesIO()
        fewer = image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE) if colours else image
        fewer.save(out, "PNG", optimize=True)
        if out.tell() <= LARGEST:
            break
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / name).write_bytes(out.getvalue())


def _of_pdf(content: bytes, name: str) -> None:
    """The first page of a PDF, drawn by the browser's own viewer would need a window: pdfium draws it."""
    import pypdfium2

    page = pypdfium2.PdfDocument(content)[0]
    out = io.BytesIO()
    page.render(scale=1.4).to_pil().save(out, "PNG")
    _keep(out.getvalue(), name)


def _of_run(command: str, said: str) -> None:
    screen, bar = shown(said.replace(f"{PROJECT}/", ""))  # where the project lies on this machine says nothing
    _of_terminal([f"$ {command}", *screen[-36:]], "terminal_end.png")
    _of_terminal([f"$ {command}", *bar], "terminal_bar.png")


def _of_terminal(lines: list[str], name: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("\n".join(lines)))
    page = f"<body style='margin:0'>{console.export_svg(title='tradewind')}</body>"
    with _browser() as browser:
        opened = browser.new_page(viewport={"width": 1100, "height": 700})
        opened.set_content(page)
        _keep(opened.locator("svg").first.screenshot(), name)


def _said_by(command: list[str]) -> str:
    """All that a command sends to a terminal of 100 columns."""
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    command = [_tool(command[0]), *command[1:]]
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    said = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    if process.wait():
        raise SystemExit(f"Error: {' '.join(command)} failed:\n{said.decode(errors='replace')[-2000:]}")
    return said.decode(errors="replace")


def shown(said: str) -> tuple[list[str], list[str]]:
    """The lines that stay on a terminal, and the bar as it was drawn halfway, with a few lines above it."""
    lines, at, bars = [""], 0, list[list[str]]()
    for found in _CONTROL.finditer(said):
        move, text = found[2], found[0]
        if move == "A":
            at = max(at - int(found[1] or 1), 0)
        elif move == "K":
            if at and lines[at - 1].endswith(" left"):
                bars.append(lines[max(at - 6, 0) : at + 1])
            lines[at] = ""
        elif found[4]:
            at += 1
            lines += [""] * (at + 1 - len(lines))
        elif not found[3] and (text.endswith("m") or not text.startswith("\x1b")):
            lines[at] += text
    return lines, bars[len(bars) // 2] if bars else []


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    if not (folder / "index.html").is_file():
        raise SystemExit(f"Error: {folder} holds no pages: build them first (`make docs`, `make viz`)")
    handler = partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


def _state_of(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{address}v1/state", timeout=30) as told:
        state: dict[str, Any] = json.load(told)
    return state


def _until(is_so: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 600) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"Error: {process.args!r} ended, or did not come so far within {seconds:g} s")
        time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _await(address: str, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1:])
