"""What can go wrong, named by what the operator does about it."""


class TradewindError(Exception):
    """Root of every error that Tradewind raises on purpose."""


class BadParameters(TradewindError, ValueError):
    """A setting is wrong: correct the configuration and run again."""


class MissingExtra(BadParameters):
    """What is asked for needs libraries that are not installed: install the extra that the message names."""


class BadData(TradewindError, ValueError):
    """The input breaks its contract: look at the named file, row or column."""


class BadModel(TradewindError):
    """A stored model is missing, stale, truncated or altered: train it again."""


class TemporaryOutage(TradewindError):
    """Something outside did not answer: try again later."""


class StaleInput(BadData):
    """A stored table is missing, or was made by other settings, sources or code: run the command that is named."""


class FolderInUse(TemporaryOutage):
    """Another run writes to the data folder: wait for it."""
