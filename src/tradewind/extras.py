"""Which libraries come with which extra of `pip install 'tradewind[EXTRA]'`, and whether they are there."""

from importlib.util import find_spec

from tradewind.errors import MissingExtra

# The modules that only an extra brings, by the extra that brings them; pyproject.toml has their distributions.
MODULES = {
    "deep": ("torch", "lightning", "pytorch_forecasting", "safetensors"),
    "agents": ("torch", "safetensors", "gymnasium", "stable_baselines3", "sb3_contrib"),
    "viz": ("kedro_viz",),
    "notebook": ("jupyterlab",),
    "exchanges": ("ccxt", "httpx"),
    "live": ("starlette", "uvicorn", "websockets", "httpx"),
    "serve": ("fastapi", "uvicorn", "grpc", "grpc_health", "grpc_reflection", "prometheus_client"),
    "stores": ("psycopg", "s3fs", "deltalake", "httpx"),
    "cluster": ("distributed",),
}


def missing_modules(extra: str) -> tuple[str, ...]:
    """The extra's modules that are not installed; nothing is imported."""
    return tuple(name for name in MODULES[extra] if not _is_there(name))


def require(extra: str, what: str, remedy: str = "") -> None:
    """Nothing, where the extra is installed.

    Args:
        extra: its name.
        what: who needs it, as the message begins.
        remedy: what else would do, after a comma.

    Raises:
        MissingExtra: a module of it is missing.
    """
    missing = missing_modules(extra)
    if missing:
        raise MissingExtra(
            f"{what} needs {', '.join(missing)}, which the extra {extra!r} brings: "
            f"pip install 'tradewind[{extra}]'{remedy}"
        )


def extra_of(module: str) -> str | None:
    """The extra that brings a module, by the first part of its name; None if none does."""
    first = module.partition(".")[0]
    return next((extra for extra, modules in MODULES.items() if first in modules), None)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False
