"""The page of the calls in a real browser: wide and narrow, nothing runs out of the window and nothing is fetched."""

import shutil
from pathlib import Path

import pytest

from tests.serving.conftest import Service

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")
def test_the_page_fits_wide_and_narrow_and_asks_no_other_host(service: Service, tmp_path: Path) -> None:
    sync = pytest.importorskip("playwright.sync_api", reason="pip install 'tradewind[pictures]'")
    with sync.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        for width in (1400, 400):
            page = browser.new_page(viewport={"width": width, "height": 900})
            asked, failed = list[str](), list[str]()
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.on("pageerror", lambda error, failed=failed: failed.append(str(error)))
            page.goto(f"{service.address}/docs")
            page.locator("summary").first.wait_for()
            page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("details").count() >= 20 and page.get_by_text("In service: linear@1").count() == 1
            assert all(url.startswith((service.address, "data:")) for url in asked) and failed == []
            page.evaluate("document.querySelectorAll('details').forEach((one, at) => { one.open = at === 2 })")
            page.screenshot(path=str(tmp_path / f"page_{width}.png"))
        browser.close()
