"""Tradewind: research to production for machine-learning trading, on Kedro."""

from importlib.metadata import version

__version__ = version("tradewind")
