"""Every page of the dashboard in a real browser, wide and narrow: nothing runs out of the window or is fetched."""

import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from tradewind.live.dashboard.app import dashboard
from tradewind.live.dashboard.pages import PAGES
from tradewind.live.process import Process

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
WIDTHS = (1400, 400)


@pytest.fixture
def address(lived_process: Process) -> Iterator[str]:
    """An account that has lived through thirty bars, behind a real port."""
    server = uvicorn.Server(uvicorn.Config(dashboard(lived_process), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


def overflow(page: Any) -> int:
    """Pixels by which the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.depth
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")
def test_every_page_fits_wide_and_narrow_and_asks_no_other_host(address: str) -> None:
    sync = pytest.importorskip("playwright.sync_api", reason="pip install 'tradewind[pictures]'")
    with sync.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        for width in WIDTHS:
            for name in PAGES:
                page = browser.new_page(viewport={"width": width, "height": 900})
                asked, failed = list[str](), list[str]()
                page.on("request", lambda request, asked=asked: asked.append(request.url))
                page.on("pageerror", lambda error, failed=failed: failed.append(str(error)))
                page.goto(address + ("/" if name == "Now" else f"/{name.lower()}"))
                assert "PAPER" in page.inner_text("body") and page.locator("form button").first.is_visible(), name
                assert overflow(page) <= 0, f"{name} at {width}"
                assert asked and all(url.startswith((address, "data:")) for url in asked) and failed == [], name
                # Planted: what is wider than the window is seen.
                page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div style=\"width:3000px\">x</div>')")
                assert overflow(page) > 1000, name
                page.close()
        browser.close()
