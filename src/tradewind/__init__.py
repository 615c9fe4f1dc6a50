"""Tradewind: research to production for machine-learning trading, on Kedro."""

from importlib.metadata import version
from pathlib import Path

from tradewind import kernel_cache

__version__ = version("tradewind")
kernel_cache.require_folder(Path(__file__).parent)
