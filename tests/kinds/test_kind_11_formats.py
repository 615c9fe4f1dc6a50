"""Kind 11: what a file determines is read; what it does not is asked for by the setting that reads it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.depth import deep
from tradewind.data.file_import.importer import ImportPlan, inspect_file
from tradewind.data.file_import.outcome import to_deliveries
from tradewind.data.files.bar_key import BarKey
from tradewind.data.files.dialect import BarDialect, ImportSettings
from tradewind.data.sources.files import read_bar_file
from tradewind.errors import BadData

START_MS, HOUR_MS = 1_735_603_200_000, 3_600_000  # 2024-12-31 00:00
N = 40
RNG = np.random.default_rng(11)
CLOSE = 42_000 * np.exp(np.cumsum(RNG.normal(0, 0.004, N)))
OPEN = np.r_[42_000.0, CLOSE[:-1]]
HIGH, LOW = np.maximum(OPEN, CLOSE) * 1.002, np.minimum(OPEN, CLOSE) * 0.998
VOLUME = RNG.uniform(1, 90, N).round(4)
TIMES = START_MS + np.arange(N) * HOUR_MS
BARS = list(zip(TIMES.tolist(), *(x.round(2).tolist() for x in (OPEN, HIGH, LOW, CLOSE)), VOLUME.tolist(), strict=True))
WHO = {"venue": "v", "symbol": "S"}


def plan_of(tmp_path: Path, content: str, name: str = "f.csv", **settings: Any) -> ImportPlan:
    path = tmp_path / name
    path.write_text(content)
    return inspect_file(path, ImportSettings.model_validate(WHO | {"volume_unit": "base"} | settings))


def require_bars(plan: ImportPlan, times: np.ndarray | None = None) -> None:
    assert [one.setting for one in plan.notes.missing_settings] == []
    rows = plan.bars[0].rows
    assert rows["open_time"].tolist() == (TIMES if times is None else times).tolist()
    np.testing.assert_allclose(rows[["open", "high", "low", "close"]], [bar[1:5] for bar in BARS], rtol=1e-12)


def local(at: int, form: str) -> str:
    return pd.Timestamp(at, unit="ms").strftime(form)


def test_decimal_commas_between_semicolons(tmp_path: Path) -> None:
    lines = [";".join([local(bar[0], "%Y-%m-%d %H:%M"), *(f"{x:.2f}".replace(".", ",") for x in bar[1:5]),
                       f"{bar[5]:.4f}".replace(".", ",")]) for bar in BARS]  # fmt: skip
    require_bars(plan_of(tmp_path, "\n".join(["Date;Open;High;Low;Close;Volume", *lines]), timezone="UTC"))


def test_thousands_apart_by_points_or_commas(tmp_path: Path) -> None:
    def german(x: float) -> str:
        return f"{x:,.2f}".translate(str.maketrans(",.", ".,"))

    head = "Date;Open;High;Low;Close;Volume\n"
    rows = "\n".join(";".join([local(b[0], "%Y-%m-%d %H:%M"), *map(german, b[1:5]), "1,5"]) for b in BARS)
    require_bars(plan_of(tmp_path, head + rows, timezone="UTC"))
    quoted = "\n".join(",".join([local(b[0], "%Y-%m-%d %H:%M"), *(f'"{x:,.2f}"' for x in b[1:5]), "1.5"]) for b in BARS)
    require_bars(plan_of(tmp_path, head.replace(";", ",") + quoted, timezone="UTC"))


def test_a_comma_that_may_be_either_is_asked_for(tmp_path: Path) -> None:
    rows = "\n".join(f"{at};42,283;42,300;42,200;42,250;7" for at in TIMES[:5])
    plan = plan_of(tmp_path, "unix;open;high;low;close;volume\n" + rows)
    assert [one.setting for one in plan.notes.missing_settings] == ["decimal=MARK"]
    for mark, value in ((",", 42.283), (".", 42_283)):
        found = plan_of(tmp_path, "unix;open;high;low;close;volume\n" + rows, decimal=mark)
        assert found.bars[0].rows["open"].iloc[0] == value


def klines(times: Any, closes: Any) -> str:
    return "\n".join(
        f"{at},{b[1]},{b[2]},{b[3]},{b[4]},{b[5]},{end},{b[5] * b[4]:.8f},{n + 5},1,1,0"
        for n, (at, end, b) in enumerate(zip(times, closes, BARS, strict=True))
    )


def test_milliseconds_and_then_microseconds_in_one_file(tmp_path: Path) -> None:
    half = N // 2
    times = [*TIMES[:half].tolist(), *(TIMES[half:] * 1000).tolist()]
    ends = [*(TIMES[:half] + HOUR_MS - 1).tolist(), *((TIMES[half:] + HOUR_MS) * 1000 - 1).tolist()]
    require_bars(plan_of(tmp_path, klines(times, ends)))
    path = tmp_path / "S-1h.csv"
    path.write_text("open_time,open,high,low,close,volume\n" + "\n".join(
        ",".join(map(str, (at, *bar[1:]))) for at, bar in zip(times, BARS, strict=True)))  # fmt: skip
    read = read_bar_file(path, BarKey(venue="v", symbol="S", timeframe="1h"), BarDialect())
    assert read["open_time"].tolist() == TIMES.tolist()
    shuffled = path.read_text().splitlines()
    shuffled[3], shuffled[-3] = shuffled[-3], shuffled[3]
    path.write_text("\n".join(shuffled))
    with pytest.raises(BadData, match="more than one epoch unit"):
        read_bar_file(path, BarKey(venue="v", symbol="S", timeframe="1h"), BarDialect())


def alpaca() -> Any:
    rows = [{"t": local(b[0], "%Y-%m-%dT%H:%M:%SZ"), "o": b[1], "h": b[2], "l": b[3], "c": b[4], "v": b[5], "n": 3,
             "vw": b[4]} for b in BARS]  # fmt: skip
    return {"bars": rows, "symbol": "S", "next_page_token": None}


def bybit() -> Any:
    rows = [[str(b[0]), *map(str, b[1:6]), f"{b[5] * b[4]:.6f}"] for b in reversed(BARS)]
    return {"retCode": 0, "retMsg": "OK", "result": {"category": "spot", "symbol": "S", "list": rows}, "time": 1}


def cryptocompare() -> Any:
    rows = [{"time": b[0] // 1000, "high": b[2], "low": b[3], "open": b[1], "volumefrom": b[5],
             "volumeto": b[5] * b[4], "close": b[4], "conversionType": "direct"} for b in BARS]  # fmt: skip
    return {"Response": "Success", "Data": {"Aggregated": False, "TimeFrom": 1, "TimeTo": 2, "Data": rows}}


def yahoo() -> Any:
    names = ("open", "high", "low", "close", "volume")
    quote = {name: [b[1 + at] for b in BARS] for at, name in enumerate(names)}
    result = {
        "meta": {"currency": "USD", "symbol": "S", "validRanges": ["1d", "5d", "max"]},
        "timestamp": [b[0] // 1000 for b in BARS],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]},
    }
    return {"chart": {"result": [result], "error": None}}


def kraken() -> Any:
    rows = [[b[0] // 1000, *map(str, b[1:5]), str(b[4]), str(b[5]), 7] for b in BARS]
    return {"error": [], "result": {"XXBTZUSD": rows, "last": 1}}


@pytest.mark.parametrize("make", [alpaca, bybit, cryptocompare, yahoo, kraken])
def test_the_one_list_of_rows_in_nested_json(tmp_path: Path, make: Any) -> None:
    plan = plan_of(tmp_path, json.dumps(make()), "f.json", volume_unit="base")
    times = TIMES[::-1] if make is bybit else TIMES
    assert plan.bars[0].rows["open_time"].tolist() == times.tolist()
    rows = plan.bars[0].rows.sort_values("open_time")
    np.testing.assert_allclose(rows[["open", "high", "low", "close"]], [bar[1:5] for bar in BARS], rtol=1e-12)
    np.testing.assert_allclose(rows["volume"], VOLUME)


def test_rows_by_symbol_are_joined_and_lists_of_other_kinds_named(tmp_path: Path) -> None:
    both = {"bars": {"A": alpaca()["bars"], "B": alpaca()["bars"][:9]}, "next_page_token": None}
    (tmp_path / "f.json").write_text(json.dumps(both))
    plan = inspect_file(tmp_path / "f.json", ImportSettings(venue="v", volume_unit="base"))
    assert [(one.key.symbol, len(one.rows)) for one in plan.bars] == [("A", N), ("B", 9)]
    with pytest.raises(BadData, match=r"several lists of rows \(bars, trades\): keep one"):
        plan_of(tmp_path, json.dumps({"bars": alpaca()["bars"], "trades": [{"a": 1, "b": 2}] * 3}), "f.json")


def test_repeated_columns_that_nobody_reads(tmp_path: Path) -> None:
    head = "time,open,high,low,close,Volume,Plot,Plot,MA,MA,Plot\n"
    rows = "\n".join(",".join(map(str, (b[0] // 1000, *b[1:], 1, 2, 3, 4, 5))) for b in BARS)
    require_bars(plan_of(tmp_path, head + rows))
    with pytest.raises(BadData, match=r"\['close'\] stand there twice"):
        plan_of(tmp_path, head.replace("MA,MA", "MA,close") + rows)


def test_two_tickers_side_by_side(tmp_path: Path) -> None:
    days = [local(START_MS + n * 86_400_000, "%Y-%m-%d") for n in range(N)]
    lines = ["Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume",
             "Ticker" + ",BTC-USD,ETH-USD" * 5, "Date" + "," * 10]  # fmt: skip
    for n, (day, b) in enumerate(zip(days, BARS, strict=True)):
        pairs = [(b[4], b[4] / 10), (b[2], b[2] / 10), (b[3], b[3] / 10), (b[1], b[1] / 10), (b[5], b[5])]
        lines.append(",".join([day, *(f"{x},{'' if n < 5 else y}" for x, y in pairs)]))
    path = tmp_path / "f.csv"
    path.write_text("\n".join(lines))
    plan = inspect_file(path, ImportSettings(venue="yahoo", volume_unit="base", timezone="UTC"))
    assert [(str(one.key), len(one.rows)) for one in plan.bars] == [
        ("yahoo/BTC-USD/1d", N), ("yahoo/ETH-USD/1d", N - 5),
    ]  # fmt: skip
    assert plan.bars[0].rows["close"].tolist() == [b[4] for b in BARS]
    np.testing.assert_allclose(plan.bars[1].rows["open"], [b[1] / 10 for b in BARS[5:]])
    assert (plan.rows, plan.accepted) == (2 * N - 5, 2 * N - 5)


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M:%S.000", "%d.%m.%Y %H:%M:%S.000 GMT+0000"])
def test_gmt_time_of_dukascopy(tmp_path: Path, form: str) -> None:
    head = "Gmt time,Open,High,Low,Close,Volume\n" if "GMT" not in form else "Local time,Open,High,Low,Close,Volume\n"
    rows = "\n".join(",".join(map(str, (local(b[0], form), *b[1:]))) for b in BARS)
    require_bars(plan_of(tmp_path, head + rows, date_order="dmy"))


@pytest.mark.parametrize("form", ["%d-%b-%Y", "%d-%b-%y", "%d-%B-%Y", "%b %d, %Y", "%Y%m%d"])
def test_shares_traded_and_months_in_words(tmp_path: Path, form: str) -> None:
    days = [START_MS + n * 86_400_000 for n in range(N)]
    head = "Date,Open,High,Low,Close,Shares Traded,Turnover (Rs Cr)\n"
    rows = "\n".join(
        ",".join([f'"{local(day, form)}"', *map(str, b[1:5]), "1000", "3.5"]) for day, b in zip(days, BARS, strict=True)
    )
    plan = plan_of(tmp_path, head + rows, timezone="UTC", columns={"volume": "Shares Traded"})
    require_bars(plan, np.array(days))
    assert plan.bars[0].rows["volume"].tolist() == [1000] * N
    asked = plan_of(tmp_path, head + rows, timezone="UTC").notes.missing_settings
    assert [one.setting for one in asked] == ["columns.volume=NAME"]


def test_an_index_column_without_a_name(tmp_path: Path) -> None:
    rows = "\n".join(",".join(map(str, (local(b[0], "%Y-%m-%d %H:%M:%S"), *b[1:]))) for b in BARS)
    require_bars(plan_of(tmp_path, ",open,high,low,close,volume\n" + rows, timezone="UTC"))
    require_bars(plan_of(tmp_path, "Unnamed: 0,open,high,low,close,volume\n" + rows, timezone="UTC"))
    counted = "\n".join(",".join(map(str, (n, *b[1:]))) for n, b in enumerate(BARS))
    assert plan_of(tmp_path, ",open,high,low,close,volume\n" + counted).notes.missing_settings


def test_kraken_with_trades_and_histdata_with_compact_times_have_no_header(tmp_path: Path) -> None:
    kraken_rows = "\n".join(f"{b[0] // 1000},{b[1]},{b[2]},{b[3]},{b[4]},{b[5]},{n + 3}" for n, b in enumerate(BARS))
    plan = plan_of(tmp_path, kraken_rows)
    require_bars(plan)
    assert plan.bars[0].rows["trades"].tolist() == [n + 3 for n in range(N)]
    hist = "\n".join(f"{local(b[0], '%Y%m%d %H%M%S')};{b[1]};{b[2]};{b[3]};{b[4]};0" for b in BARS)
    require_bars(plan_of(tmp_path, hist, timezone="Etc/GMT+5"), TIMES + 5 * HOUR_MS)
    meta = "\n".join(f"{local(b[0], '%Y.%m.%d,%H:%M')},{b[1]},{b[2]},{b[3]},{b[4]},7" for b in BARS)
    require_bars(plan_of(tmp_path, meta, timezone="UTC"))


# Siblings of the formats above, found by trying files of people who do this job.


def test_a_time_without_marks_beside_a_date_is_a_time(tmp_path: Path) -> None:
    """Stooq's; before, its hours were 2 daily bars, and 28 of 30 rows superseded."""
    head = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"
    for form in ("%H%M%S", "%H%M"):
        lines = [
            f"AAPL.US,60,{local(bar[0], '%Y%m%d')},{local(bar[0], form)},{','.join(map(str, bar[1:]))},0"
            for bar in BARS
        ]
        plan = plan_of(tmp_path, "\n".join([head, *lines]), timezone="UTC")
        require_bars(plan)
        assert plan.bars[0].key.timeframe == "1h"


def test_rows_that_stand_under_their_dates(tmp_path: Path) -> None:
    """Alpha Vantage's, its columns numbered."""
    rows = {
        local(bar[0], "%Y-%m-%d %H:%M:%S"): {
            f"{number}. {name}": str(cell)
            for number, (name, cell) in enumerate(
                zip(("open", "high", "low", "close", "volume"), bar[1:], strict=True), 1
            )
        }
        for bar in BARS
    }
    about = {"1. Information": "Intraday", "2. Symbol": "IBM", "6. Time Zone": "US/Eastern"}
    document = json.dumps({"Meta Data": about, "Time Series (60min)": rows})
    require_bars(plan_of(tmp_path, document, "av.json", timezone="UTC"))


def test_money_signs_and_thousands_by_letter(tmp_path: Path) -> None:
    """Nasdaq's prices and the volumes of Investing.com."""
    lines = [
        f'{local(bar[0], "%Y-%m-%d %H:%M")},"${bar[4]:,.2f}",{bar[5]:.3f}K,${bar[1]:.2f},"${bar[2]:,.2f}",${bar[3]:.2f}'
        for bar in BARS
    ]
    plan = plan_of(tmp_path, "\n".join(["Date,Close/Last,Volume,Open,High,Low", *lines]), timezone="UTC")
    require_bars(plan)
    volume = plan.bars[0].rows["volume"]
    np.testing.assert_allclose(volume, [round(bar[5], 3) * 1000 for bar in BARS], rtol=1e-12)


def test_days_before_1990_are_told_as_what_they_are(tmp_path: Path) -> None:
    days = [str(np.datetime64("1989-12-20") + n) for n in range(N)]
    content = "\n".join(["Date,Open,High,Low,Close,Volume", *(f"{day},10,12,9,11,100" for day in days)])
    plan = plan_of(tmp_path, content, timezone="UTC")
    (delivery,) = to_deliveries(plan, datetime(2026, 1, 1, tzinfo=UTC))
    assert set(delivery.rejected["reason"]) == {"the time is not between 1990 and 2100"}
    assert len(delivery.rejected) == 12 and len(delivery.rows) == N - 12
    with pytest.raises(BadData, match="the first is 1985-12-20.*older rows are not taken"):
        plan_of(tmp_path, content.replace("1989", "1985").replace("1990", "1986"), timezone="UTC")


LANGUAGES = {
    "fr": "Date,Ouv.,Plus haut,Plus bas,Dernier,Vol.", "es": "Fecha,Apertura,Máximo,Mínimo,Último,Vol.",
    "it": "Data,Apertura,Massimo,Minimo,Chiusura,Volume", "pt": "Data,Abertura,Máxima,Mínima,Fechamento,Volume",
    "pl": "Data,Otwarcie,Najwyższy,Najniższy,Zamknięcie,Wolumen", "tr": "Tarih,Açılış,Yüksek,Düşük,Kapanış,Hacim",
    "ru": "Дата,Открытие,Максимум,Минимум,Закрытие,Объём", "zh": "日期,开盘价,最高价,最低价,收盘价,成交量",
    "ja": "日付,始値,高値,安値,終値,出来高", "ko": "날짜,시가,고가,저가,종가,거래량",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_names_of_columns_in_other_languages(tmp_path: Path, language: str) -> None:
    lines = [",".join(map(str, (local(bar[0], "%Y-%m-%d %H:%M"), *bar[1:]))) for bar in BARS]
    require_bars(plan_of(tmp_path, "\n".join([LANGUAGES[language], *lines]), timezone="UTC"))


@pytest.mark.parametrize("gap", ["'", "\u2019", " ", "\u00a0", "\u202f"])
def test_thousands_apart_by_apostrophes_or_spaces(tmp_path: Path, gap: str) -> None:
    """Swiss and French exports; the delimiter is told from the rest."""
    for mark in ".,":
        rows = [";".join([str(bar[0]), *(f"{x:,.2f}".replace(".", "|").replace(",", gap).replace("|", mark)
                                         for x in bar[1:])]) for bar in BARS]  # fmt: skip
        require_bars(plan_of(tmp_path, "\n".join(["unix;open;high;low;close;volume", *rows])))


def test_one_number_with_a_gap_is_damage(tmp_path: Path) -> None:
    """A point that became a space must not make 1.234 a thousand times as much."""
    rows = [f"{bar[0]},1.234,1.239,1.230,1.235,{bar[5]}" for bar in BARS]
    rows[7] = rows[7].replace("1.239", "1 239")
    plan = plan_of(tmp_path, "\n".join(["unix,open,high,low,close,volume", *rows]))
    assert plan.accepted == N - 1 and plan.bars[0].rows["high"].max() == 1.239


def test_lakhs_and_crores(tmp_path: Path) -> None:
    """India's exchanges write 1,42,000.50."""

    def lakh(x: float) -> str:
        whole, part = f"{x + 100_000:.2f}".split(".")
        return f'"{whole[:-5]},{whole[-5:-3]},{whole[-3:]}.{part}"'

    rows = [",".join([str(bar[0]), *map(lakh, bar[1:5]), '"12,34,567"']) for bar in BARS]
    plan = plan_of(tmp_path, "\n".join(["unix,open,high,low,close,volume", *rows]))
    np.testing.assert_allclose(plan.bars[0].rows["close"], [bar[4] + 100_000 for bar in BARS], rtol=1e-12)
    assert set(plan.bars[0].rows["volume"]) == {1_234_567.0}


@pytest.mark.parametrize("orient", ["columns", "index", "split", "records"])
@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_data_frame_as_pandas_writes_it(tmp_path: Path, orient: Any, is_indexed: bool) -> None:
    frame = pd.DataFrame(BARS, columns=["time", "open", "high", "low", "close", "volume"])
    if is_indexed and orient in ("columns", "index"):
        frame = frame.set_index(pd.to_datetime(frame.pop("time"), unit="ms", utc=True))
    require_bars(plan_of(tmp_path, frame.to_json(orient=orient, double_precision=15, date_unit="ms"), "f.json"))


def test_a_delimiter_at_the_end_of_all_lines_but_the_header(tmp_path: Path) -> None:
    rows = [",".join(map(str, bar)) + "," for bar in BARS]
    require_bars(plan_of(tmp_path, "\n".join(["unix,open,high,low,close,volume", *rows])))


def test_a_time_at_which_bars_close_is_taken_as_such_where_the_setting_says_so(tmp_path: Path) -> None:
    """The one setting that reads it is the one that is asked for."""
    rows = [",".join(map(str, (bar[0] + HOUR_MS - 1, *bar[1:]))) for bar in BARS]
    content = "\n".join(["close_time,open,high,low,close,volume", *rows])
    asked = [one.setting for one in plan_of(tmp_path, content).notes.missing_settings]
    assert asked == ["time_is=close"]
    require_bars(plan_of(tmp_path, content, time_is="close"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(tmp_path: Path, encoding: str) -> None:
    rows = [",".join(map(str, bar)) for bar in BARS]
    path = tmp_path / "f.csv"
    path.write_bytes("\n".join(["unix,open,high,low,close,volume", *rows]).encode(encoding))
    require_bars(inspect_file(path, ImportSettings.model_validate(WHO | {"volume_unit": "base"})))


CLOCKS = (
    "%Y-%m-%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%Y%m%d %H%M%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%d %b %Y %H:%M",
    "ms",
    "s",
    "us",
)


def written(rng: np.random.Generator) -> tuple[bytes, np.ndarray, str]:
    """The bars as somebody somewhere writes them, the prices that stand there, and how they were written."""
    delimiter, decimal, gap = (str(rng.choice(list(marks))) for marks in (",;\t|", ".,", ",.' \u202f\u00a0#"))
    gap = "" if gap in (decimal, "#") else gap
    header = str(rng.choice(["Date,Open,High,Low,Close,Volume", *LANGUAGES.values()])).split(",")
    clock, digits, is_quoted = str(rng.choice(CLOCKS)), int(rng.choice([2, 3, 4, 6])), bool(rng.random() < 0.5)
    ending = str(rng.choice(["", "", " ", delimiter]))
    scale = float(rng.choice([1e-5, 0.01, 1, 100]))
    epoch = {"s": 1 / 1000, "ms": 1, "us": 1000}.get(clock)

    def cell(text: str) -> str:
        return f'"{text}"' if is_quoted or delimiter in text else text

    def number(x: float, places: int) -> str:
        return cell(f"{x:,.{places}f}".translate(str.maketrans({",": gap, ".": decimal})))

    prices = np.round([[x * scale for x in bar[1:5]] for bar in BARS], digits)
    lines = [
        delimiter.join([cell(local(bar[0], clock) if epoch is None else str(int(bar[0] * epoch))),
                        *(number(x, digits) for x in row), number(bar[5], 4)]) + ending
        for bar, row in zip(BARS, prices, strict=True)
    ]  # fmt: skip
    lines = [delimiter.join(map(cell, header)) + ending, *lines[:: rng.choice([1, -1])]]
    encoding = str(rng.choice(["utf-8", "utf-8-sig", "utf-16"]))
    how = f"{delimiter!r} {decimal!r} {gap!r} {header[0]} {clock} {digits} {is_quoted} {ending!r} {scale} {encoding}"
    return str(rng.choice(["\n", "\r\n"])).join(lines).encode(encoding), prices, how


@pytest.mark.parametrize("files", [40, deep(1000)])
def test_files_written_in_any_combination_of_these_ways_hold_the_same_bars(tmp_path: Path, files: int) -> None:
    """Property: delimiter, marks, language, clock, order, quotes, encoding and scale; each is told from the file."""
    rng, path = np.random.default_rng(files), tmp_path / "f.csv"
    for _ in range(files):
        content, prices, how = written(rng)
        path.write_bytes(content)
        plan = inspect_file(path, ImportSettings.model_validate(WHO | {"volume_unit": "base", "timezone": "UTC"}))
        assert [one.setting for one in plan.notes.missing_settings] == [], how
        rows = plan.bars[0].rows.sort_values("open_time")
        assert rows["open_time"].tolist() == TIMES.tolist(), how
        np.testing.assert_allclose(rows[["open", "high", "low", "close"]], prices, rtol=1e-12, atol=1e-12, err_msg=how)
