"""Which of two versions answers: whole symbol-days, so that a position is never handed from one to the other inside."""

import hashlib

DAY_MS = 86_400_000


def is_canarys(seed: int, symbol: str, at_ms: int, share: float) -> bool:
    """Whether the canary answers for this symbol on the day (UTC) of `at_ms`.

    Args:
        seed: of the trial.
        symbol: whose forecast.
        at_ms: UTC milliseconds.
        share: of all symbol-days.
    """
    said = hashlib.sha256(f"{seed}/{symbol}/{at_ms // DAY_MS}".encode()).digest()
    return int.from_bytes(said[:8], "big") < share * 2**64
