"""What counts as an outlier, a run, agreement or drift, and how good is good enough."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tradewind.errors import BadParameters
from tradewind.market.timeframes import bar_duration
from tradewind.parameters import Parameters

Score = Literal["completeness", "validity", "consistency", "timeliness", "uniqueness", "accuracy"]
SCORES: tuple[Score, ...] = ("completeness", "validity", "consistency", "timeliness", "uniqueness", "accuracy")
Share = Annotated[float, Field(ge=0, le=1)]


class OutlierRules(Parameters):
    """When a bar's return or volume is an outlier; it is flagged, never changed.

    `z_score`: standard deviations from the mean of the whole table. `iqr`: interquartile ranges beyond the quartiles
    (Tukey 1977 calls 3 far out). `robust`, and `robust_volume` for the log volume: deviations as the `window_bars`
    values before the bar had them, at least `granularity_bps` for a return (Brownlees and Gallo 2006).
    `revert_share`: a robust outlier that the next bar undoes but for this share is a bad tick.
    """

    z_score: Annotated[float, Field(gt=0)] = 5.0
    iqr: Annotated[float, Field(gt=0)] = 3.0
    robust: Annotated[float, Field(gt=0)] = 10.0
    robust_volume: Annotated[float, Field(gt=0)] = 5.0
    window_bars: Annotated[int, Field(ge=8, le=5000)] = 168
    granularity_bps: Annotated[float, Field(gt=0)] = 1.0
    revert_share: Share = 0.2


class RunRules(Parameters):
    """From how many bars on a run is recorded: of bars that repeat the close before, of bars without volume."""

    stale_bars: Annotated[int, Field(ge=1)] = 3
    zero_volume_bars: Annotated[int, Field(ge=1)] = 1


class DriftRules(Parameters):
    """Months are compared in so many bins of equal probability, if both have so many rows."""

    bins: Annotated[int, Field(ge=2, le=100)] = 10
    min_rows: Annotated[int, Field(ge=10)] = 100


class AgreementRules(Parameters):
    """What else the source has that a table is compared with, where it is there.

    `timeframes`: other timeframes of the same symbol. `venues`: the same symbol and timeframe there. `pairs`: two
    partitions each, such as a perpetual and its spot; the first is judged. Closes agree within `tolerance_bps` of the
    median distance, which a currency or a basis makes.
    """

    timeframes: tuple[str, ...] = ()
    venues: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    tolerance_bps: Annotated[float, Field(gt=0)] = 50.0

    @model_validator(mode="after")
    def _check(self) -> "AgreementRules":
        try:
            for timeframe in self.timeframes:
                bar_duration(timeframe)
        except BadParameters as error:
            raise ValueError(str(error)) from error
        return self


class Threshold(Parameters):
    """Below `stop` the run stops, below `warn` it warns; 0 never does."""

    stop: Share = 0.0
    warn: Share = 0.0

    @model_validator(mode="after")
    def _check(self) -> "Threshold":
        if self.stop > self.warn:
            raise ValueError(f"stop {self.stop} must not be above warn {self.warn}")
        return self


class QualityRules(Parameters):
    """How bars are judged (`params:data_engineering.quality`).

    `since`, `until`: the bars that are asked for, by opening time; by default what lies between a table's first and
    last. `as_of`: the moment at which tables should be up to date: `latest` is the newest close in the universe, which
    suits a file of history, `now` the clock, which suits a live table. Up to `late_bars` are not late; a table that
    lags by `stale_days` more has a timeliness of 0.
    """

    thresholds: dict[Score, Threshold] = {}
    since: datetime | None = None
    until: datetime | None = None
    as_of: Literal["latest", "now"] = "latest"
    late_bars: Annotated[int, Field(ge=0)] = 2
    stale_days: Annotated[float, Field(gt=0)] = 30.0
    outliers: OutlierRules = OutlierRules()
    runs: RunRules = RunRules()
    drift: DriftRules = DriftRules()
    agreement: AgreementRules = AgreementRules()

    @model_validator(mode="after")
    def _check(self) -> "QualityRules":
        if self.since is not None and self.until is not None and self.asked_ms(0, 0)[0] >= self.asked_ms(0, 0)[1]:
            raise ValueError(f"since {self.since} must lie before until {self.until}")
        return self

    def threshold(self, score: Score) -> Threshold:
        """The limits of a score; none where none is set."""
        return self.thresholds.get(score, Threshold())

    def asked_ms(self, first_ms: int, end_ms: int) -> tuple[int, int]:
        """The opening times that are asked for, [since, until); those given where the rules say nothing."""
        since, until = (
            instant if instant is None or instant.tzinfo else instant.replace(tzinfo=UTC)
            for instant in (self.since, self.until)
        )
        return (
            first_ms if since is None else int(since.timestamp() * 1000),
            end_ms if until is None else int(until.timestamp() * 1000),
        )
