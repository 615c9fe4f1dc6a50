"""The page of the calls at /docs, made from the OpenAPI document: FastAPI's own asks another host for its scripts."""

import json
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from tradewind.serving.variants import Variant

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }
h2 { margin-top: 2.5rem } summary { cursor: pointer; padding: .4rem 0 } pre { overflow-x: auto; background: #f4f5f7;
padding: .8rem } code { overflow-wrap: anywhere } .over { background: #b3261e; color: #fff; padding: .6rem .8rem }
code.m { display: inline-block; width: 3.5rem; font-weight: 600 }
"""


def add_page(app: FastAPI) -> None:
    """The page at /docs."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(render(app.openapi(), app.state.functions.models.now.champion))


def render(document: dict[str, Any], champion: Variant | None) -> str:
    """The page of an OpenAPI document, and of the version that answers; what the gate missed stands on top."""
    schemas = document.get("components", {}).get("schemas", {})
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            by_tag.setdefault(call["tags"][0], []).append(_call(path, method, call, schemas))
    parts = [f"<h2>{escape(tag)}</h2>{''.join(calls)}" for tag, calls in by_tag.items()]
    about = "A token goes into the header: <code>Authorization: Bearer TOKEN</code>. Errors are problem+json."
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Tradewind</title>"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'><style>{STYLE}</style>"
        f"<h1>Tradewind</h1>{_served(champion)}<p>{escape(document['info']['description'])} {about} "
        f"<a href='/openapi.json'>openapi.json</a></p>{''.join(parts)}</html>"
    )


def _served(champion: Variant | None) -> str:
    if champion is None:
        return "<p>No model is in service.</p>"
    spec, over = champion.bundle.spec, champion.overridden
    symbols = escape(", ".join(spec.universe.symbols))
    text = (
        f"<p>In service: <b>{escape(champion.name)}@{champion.version}</b>, {symbols}, "
        f"{spec.horizon_bars} bars ahead. The verdict ({escape(spec.evidence.verdict)}) is the procedure's, from its "
        "walk-forward; nothing was tested on the refit itself.</p>"
    )
    return text + (f"<p class='over'>Let in against the gate: {escape(over)}</p>" if over else "")


def _call(path: str, method: str, call: dict[str, Any], schemas: dict[str, Any]) -> str:
    body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    answer = call["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema")
    shown = "".join(
        f"<p>{what}</p><pre>{escape(json.dumps(_resolved(schema, schemas), indent=1))}</pre>"
        for what, schema in (("Request", body), ("Answer", answer))
        if schema
    )
    statuses = ", ".join(sorted(call["responses"]))
    return (
        f"<details><summary><code class='m'>{method.upper()}</code> <code>{escape(path)}</code> "
        f"{escape(call.get('description', ''))}</summary>{shown}<p>Statuses: {statuses}</p></details>"
    )


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return dict(schemas[name]) if name in schemas else schema
