"""The side series there are: one entry each. `docs/side_data.md` is their table."""

from datetime import timedelta

from tradewind.data.side_data.publication import After, AfterClose, Stated
from tradewind.data.side_data.spec import SideSpec

_NEW_YORK = "America/New_York"
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
# A settlement or a snapshot counts from the next millisecond on: not for what is decided at that very moment.
_SETTLED = After(timedelta(milliseconds=1))
_AT_THE_CLOSE = After(timedelta(0))

_FUNDING = ("funding_rate", "fundingrate", "value")
_INTEREST = ("open_interest", "sum_open_interest", "sumopeninterest", "value")

_OF_VENUES = (
    # `funding` is also what accounts pay (engine.histories): for bars of perpetuals. `perp_funding` only informs.
    SideSpec("funding", "rate a settlement", True, _SETTLED, -0.05, 0.05, _DAY, "the venue", "values", _FUNDING),
    SideSpec("perp_funding", "rate a settlement", True, _SETTLED, -0.05, 0.05, _DAY,
             "the venue of the perpetual", "values", _FUNDING),
    SideSpec("funding_spread", "rate a settlement", True, _SETTLED, -0.05, 0.05, _DAY,
             "a venue less the mean of others", "spread", _FUNDING),
    SideSpec("open_interest", "contracts or coins", True, After(timedelta(minutes=5)), 0.0, 1e15, _DAY,
             "the venue", "values", _INTEREST),
    # As exchanges define it, of mark and index; of files, of the perpetual's and the spot's closes.
    SideSpec("basis", "share of the spot price", True, _AT_THE_CLOSE, -0.2, 0.2, _DAY,
             "perpetual over spot, less one", "ratio"),
    SideSpec("mark_premium", "share of the price", True, _AT_THE_CLOSE, -0.2, 0.2, _DAY,
             "mark price over the perpetual, less one", "ratio"),
    SideSpec("price_spread", "share of the price", True, _AT_THE_CLOSE, -0.2, 0.2, _DAY,
             "a venue over another, less one", "ratio"),
    SideSpec("premium", "share of the price", True, _AT_THE_CLOSE, -0.2, 0.2, _DAY,
             "the venue's premium index", "close"),
    SideSpec("mark_price", "quote currency", True, _AT_THE_CLOSE, 0.0, 1e12, _DAY, "the venue", "close"),
    SideSpec("index_price", "quote currency", True, _AT_THE_CLOSE, 0.0, 1e12, _DAY, "the venue", "close"),
)  # fmt: skip

_OF_MARKETS = (
    # A day's value appears about midnight, at which hour is not recorded: a day later is safe.
    SideSpec("fear_greed", "index, 0 to 100", False, After(_DAY), 0.0, 100.0, 7 * _DAY, "alternative.me", "values"),
    # The index is final at 16:15; an hour for whoever serves the file.
    SideSpec("vix", "index", False, AfterClose(_NEW_YORK, timedelta(hours=17, minutes=15)), 1.0, 200.0, 8 * _DAY,
             "Cboe", "values", ("close", "vix_close", "value")),
    # WTI settled at -36.98 on 2020-04-20: low is no mistake.
    SideSpec("wti", "USD a barrel", False, AfterClose(_NEW_YORK, timedelta(hours=17), next_business_day=True),
             -100.0, 500.0, 10 * _DAY, "EIA", "values", ("price", "value")),
    SideSpec("brent", "USD a barrel", False, AfterClose(_NEW_YORK, timedelta(hours=17), next_business_day=True),
             0.0, 500.0, 10 * _DAY, "EIA", "values", ("price", "value")),
    # They move with the clock: an hour old, they are wrong.
    SideSpec("us_event_hours_to_next", "hours, at most 168", False, _AT_THE_CLOSE, 0.0, 168.0, _HOUR,
             "economic calendar", "hours_to_next", ("event", "name")),
    SideSpec("us_event_hours_since_last", "hours, at most 168", False, _AT_THE_CLOSE, 0.0, 168.0, _HOUR,
             "economic calendar", "hours_since_last", ("event", "name")),
)  # fmt: skip


def _fred(name: str, key: str, unit: str, span: tuple[float, float], rhythm: str, days: int = 0) -> SideSpec:
    """A series of FRED. `days` after the date it is of, a file that does not say so may be taken to know it.

    Revised series (all but rates) need a file with vintages to be free of look-ahead.
    """
    stale_days = {"daily": 10, "weekly": 21, "monthly": 75}[rhythm]
    # Friday's rate before a holiday comes out on Tuesday evening.
    publication = Stated("assumed_available_at", After((days or 5) * _DAY))
    return SideSpec(
        name, unit, False, publication, *span, stale_days * _DAY, f"FRED {key}", "published", ("value", key), key,
        is_revised=key not in _NEVER_REVISED,
    )  # fmt: skip


_NEVER_REVISED = frozenset(
    {"DFEDTARL", "DFEDTARU", "EFFR", "FEDFUNDS", "SOFR", "DGS10", "T10Y2Y", "T10YIE", "RRPONTSYD"}
)
_RATE, _PRICES = (-5.0, 25.0), (1.0, 2000.0)

_OF_FRED = (
    _fred("fed_target_low", "DFEDTARL", "% a year", _RATE, "daily"),
    _fred("fed_target_high", "DFEDTARU", "% a year", _RATE, "daily"),
    _fred("effective_fed_funds", "EFFR", "% a year", _RATE, "daily"),
    _fred("fed_funds_monthly", "FEDFUNDS", "% a year", _RATE, "monthly", 36),
    _fred("sofr", "SOFR", "% a year", _RATE, "daily"),
    _fred("treasury_10y", "DGS10", "% a year", _RATE, "daily"),
    _fred("yield_curve_10y_2y", "T10Y2Y", "percentage points", (-10, 10), "daily"),
    _fred("breakeven_10y", "T10YIE", "% a year", (-10, 20), "daily"),
    _fred("reverse_repo", "RRPONTSYD", "billion USD", (0, 20_000), "daily"),
    _fred("fed_assets", "WALCL", "million USD", (1e5, 1e8), "weekly", 3),
    _fred("financial_conditions", "NFCI", "standard deviations", (-10, 10), "weekly", 7),
    _fred("jobless_claims", "ICSA", "persons", (0, 2e7), "weekly", 7),
    _fred("unemployment", "UNRATE", "%", (0, 50), "monthly", 41),
    _fred("payrolls", "PAYEMS", "thousand persons", (1e4, 1e6), "monthly", 41),
    _fred("job_openings", "JTSJOL", "thousands", (0, 1e5), "monthly", 71),
    _fred("consumer_prices", "CPIAUCSL", "index", _PRICES, "monthly", 46),
    _fred("core_consumer_prices", "CPILFESL", "index", _PRICES, "monthly", 46),
    _fred("core_pce_prices", "PCEPILFE", "index", _PRICES, "monthly", 66),
    _fred("industrial_production", "INDPRO", "index", _PRICES, "monthly", 51),
    _fred("retail_sales", "RSAFS", "million USD", (1e4, 1e8), "monthly", 51),
)

SERIES: dict[str, SideSpec] = {spec.name: spec for spec in (*_OF_VENUES, *_OF_MARKETS, *_OF_FRED)}
