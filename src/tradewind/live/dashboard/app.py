"""The dashboard: pages, the halt button on each, and what operators order. No build step, nothing from elsewhere."""

import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tradewind.atomic import explain
from tradewind.errors import TradewindError
from tradewind.live.dashboard.pages import PAGES
from tradewind.live.dashboard.parts import instant, text
from tradewind.live.dashboard.style import SCRIPT, STYLE
from tradewind.live.process import Process
from tradewind.live.session.trading import used_of_limits
from tradewind.live.venue.choice import PAPER, mode_of_run
from tradewind.operations.journal.halt_file import HALT_FILE, write_halt_file
from tradewind.operations.prometheus.denials import FOREIGN, UNKNOWN

LARGEST_BODY = 16_384
HOSTS = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; form-action 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
}  # fmt: skip


def keep_secret(path: Path, secret: str) -> None:
    """Write a secret that only its owner may ever read, in the place of whatever has the name, and not through it.

    Args:
        path: its place.
        secret: what it is to hold.

    Raises:
        TemporaryOutage: the disk is full or fails.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret)
        temporary.replace(path)
    except OSError as error:
        raise explain(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def dashboard(process: Process) -> Starlette:
    """The application of one paper account. Only this machine's browsers and `tradewind` may order something."""
    token = secrets.token_urlsafe(24)
    keep_secret(process.runtime.folder / "token", token)

    def denied(asked: str, why: str) -> None:
        """Counted, and now and then logged and journalled: whoever guesses must not fill the disk."""
        line = process.denials.note("dashboard", asked, why)
        if line:
            with suppress(TradewindError):  # a journal that cannot be written halts the account elsewhere
                process.runtime.alarm("authentication", line)

    def shown(name: str) -> Any:
        async def answer(request: Request) -> Response:
            if _is_foreign(request):
                denied("page", FOREIGN)
                return Response("only for this machine", 403)
            if name == "Rollout" and process.rollout is not None:
                await process.rollout.refresh()
            body = PAGES[name](process, dict(request.query_params), token)
            return HTMLResponse(page(process, name, body, token), headers=HEADERS)

        return answer

    async def control(request: Request) -> Response:
        if _is_foreign(request):
            denied("control", FOREIGN)
            return Response("only for this machine", 403)
        content = await request.body()
        if len(content) > LARGEST_BODY:
            return Response("too long", 413)
        given = {name: values[0] for name, values in parse_qs(content.decode("utf-8", "replace")).items()}
        if not hmac.compare_digest(given.get("token", "").encode(), token.encode()):
            denied("control", UNKNOWN)
            return Response("the page is old: load it again", 403)
        action, who, reason = (given.get(name, "").strip() for name in ("action", "who", "reason"))
        if action == "halt" and reason:
            write_halt_file(process.runtime.folder, f"{who or 'dashboard'}: {reason}")
        if action == "resume" and reason and who and process.runtime.may_resume():
            (process.runtime.folder / HALT_FILE).unlink(missing_ok=True)
        detail: dict[str, Any] = {}
        if given.get("reset"):
            detail["reset"] = given["reset"].split()
        if given.get("code"):
            detail |= {"code": given["code"], "minutes": float(given.get("minutes") or 0)}
        refused = process.runtime.operate(action, who or "dashboard", reason, detail)
        code = 403 if refused.startswith("403") else 409
        if given.get("as") == "json":
            return JSONResponse({"refused": refused, **_status(process)}, code if refused else 200)
        if refused:
            return HTMLResponse(
                page(process, "Risk", f'<section class="card"><p class="bad">{text(refused)}</p></section>', token),
                code,
                HEADERS,
            )
        return RedirectResponse("/risk", 303)

    async def status(request: Request) -> Response:
        if _is_foreign(request):
            denied("page", FOREIGN)
            return Response("only for this machine", 403)
        return JSONResponse(_status(process))

    routes = [Route("/" if name == "Now" else f"/{name.lower()}", shown(name)) for name in PAGES]
    routes += [Route("/control", control, methods=["POST"]), Route("/v1/state", status)]
    return Starlette(routes=routes)


def _is_foreign(request: Request) -> bool:
    """A page elsewhere may make a browser ask us under another name: such requests are refused."""
    return request.headers.get("host", "").rsplit(":", 1)[0] not in HOSTS


def _status(process: Process) -> dict[str, Any]:
    state, account = process.runtime.state, mode_of_run(process.runtime.about)
    return {
        "paper": account is PAPER, "account": account.label,
        "state": state.risk.mode, "paused": state.risk.paused, "reason": state.risk.reason,
        "equity": state.paper.equity, "twin": state.twin.equity * process.runtime.session.capital,
        "positions": {name: units for name, units in state.paper.units.items() if units},
        "now_ms": state.now_ms, "journal": list(process.runtime.journal.head), "counts": dict(state.counts),
        "limits": {name: list(one) for name, one in used_of_limits(process.runtime.session, state).items()},
    }  # fmt: skip


def page(process: Process, here: str, body: str, token: str) -> str:
    """A whole page: banner, age of the data and halt button above, then `body`.

    Args:
        process: the running paper account.
        here: name of the page.
        body: HTML.
        token: that forms must send back.

    Returns:
        HTML.
    """
    state = process.runtime.state
    ages = [(state.now_ms - at) / 1000 for at in state.seen_ms.values()]
    age = f"oldest data {max(ages):.0f} s" if ages else "no data yet"
    kind = {"ACTIVE": "good", "REDUCING": "warn"}.get(state.risk.mode, "bad")
    links = "".join(
        f'<a href="{"/" if name == "Now" else "/" + name.lower()}"{" class=here" if name == here else ""}>{name}</a>'
        for name in PAGES
    )
    mode = state.risk.mode + (" paused" if state.risk.paused else "")
    account = mode_of_run(process.runtime.about)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>{here} · {account.label} · Tradewind</title>'
        f"<style>{STYLE}</style></head>"
        f'<body><header><div class="banner {account.name}"><b>{account.label}</b><span id="status">{account.means} · '
        f'<b class="{kind}">{text(mode)}</b> · {instant(state.now_ms)} UTC · {age}</span>'
        f'<form method="post" action="/control"><input type="hidden" name="token" value="{token}">'
        '<input type="hidden" name="action" value="halt"><input name="reason" placeholder="why halt?" required '
        'aria-label="reason for the halt"><button class="halt">HALT</button></form></div>'
        f'<nav>{links}</nav></header><main id="main">{body}</main><script>{SCRIPT}</script></body></html>'
    )
