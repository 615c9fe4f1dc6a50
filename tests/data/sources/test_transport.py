"""One client for all: what it waits for, what it refuses, what it never says."""

import threading
from io import BytesIO

import numpy as np
import pytest
from pydantic import SecretStr

from tests.data.sources.exchange_server import START_MS, ExchangeServer, FakeTime
from tradewind.data.sources.timing import RateLimiter, RetryableError, RetryPolicy, Timing, retry
from tradewind.data.sources.transport import Request, Transport
from tradewind.errors import BadData, BadParameters, TemporaryOutage

KEY = SecretStr("sk-0123456789abcdef")
RATES = "/fapi/v1/fundingRate?symbol=BTCUSDT&startTime=0"


def transport(server: ExchangeServer, interval_s: float = 0.0, **rules: float) -> Transport:
    timing = server.timing()
    return Transport(RetryPolicy(**rules), timing, RateLimiter(interval_s, timing), {"X-Key": KEY})


def test_waits_double_up_to_a_limit_with_jitter_from_the_generator(server: ExchangeServer) -> None:
    server.misbehave("500", times=9)
    with pytest.raises(TemporaryOutage, match="answered 500.*tried 6 times"):
        transport(server, first_wait_s=1, longest_wait_s=6).get_json(server.url + RATES)
    jitter = np.random.default_rng(7)
    assert server.time.waits == [longest * jitter.uniform(0.5, 1.0) for longest in (1, 2, 4, 6, 6)]


@pytest.mark.parametrize(
    ("asked", "least_s"), [("7", 7.0), ("Wed, 25 Nov 2026 12:00:30 GMT", 0.0), ("soon", 0.0), ("", 0.0), ("-5", 0.0)]
)
def test_a_server_that_asks_for_a_wait_gets_it(server: ExchangeServer, asked: str, least_s: float) -> None:
    server.misbehave("429", retry_after=asked)
    assert transport(server, first_wait_s=1).get_json(server.url + RATES)
    assert least_s + 0.5 <= server.time.waits[0] <= least_s + 1


def test_a_date_is_held_against_the_servers_own_clock(server: ExchangeServer) -> None:
    """Its clock may differ from ours: a wait of twenty seconds by its own is one, whatever we think it is."""
    dates = {"date": "Wed, 01 Jan 2020 00:00:00 GMT", "retry-after": "Wed, 01 Jan 2020 00:00:20 GMT"}
    server.misbehave("status", status=503, headers=dates)
    assert transport(server, first_wait_s=1).get_json(server.url + RATES)
    assert 20.5 <= server.time.waits[0] <= 21


def test_one_threads_ban_holds_all(server: ExchangeServer) -> None:
    asking = transport(server)
    server.misbehave("429", retry_after="5")
    with pytest.raises(RetryableError):
        asking.ask_once(Request(server.url + RATES))
    assert server.time.waits == []
    asking.ask_once(Request(server.url + RATES))
    assert server.time.waits == [5.0]


def test_threads_share_one_rate() -> None:
    time = FakeTime(START_MS)
    turns, taken = [], threading.Lock()

    def wait(seconds: float) -> None:
        with taken:
            turns.append(seconds)

    limiter = RateLimiter(0.5, Timing(wait, time.elapsed, time.now))
    threads = [threading.Thread(target=lambda: [limiter.acquire() for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limiter.acquire(weight=10)
    limiter.acquire()
    assert sorted(turns) == [0.5 * turn for turn in range(1, 101)] + [55.0]


def test_an_unlimited_wait_is_not_ours_to_make() -> None:
    time = FakeTime(START_MS)
    timing = Timing(time.wait, time.elapsed, time.now, np.random.default_rng(1))

    def ask() -> None:
        raise RetryableError("busy", 901.0)

    with pytest.raises(TemporaryOutage, match="asks to wait for 901 s"):
        retry(ask, RetryPolicy(), timing)
    assert time.waits == []


def test_a_refusal_is_told_in_the_servers_words_cut_and_cleared(server: ExchangeServer) -> None:
    words = f"bad symbol for {KEY.get_secret_value()} " + "x" * 5000
    server.misbehave("status", status=400, text=words)
    with pytest.raises(
        BadParameters, match=r"refuses the request: .* answered 400: 'bad symbol for \*\*\* x+"
    ) as raised:
        transport(server).get_json(server.url + RATES)
    assert len(str(raised.value)) < 350
    assert "startTime" not in str(raised.value)


def test_what_is_not_there_is_none_or_told(server: ExchangeServer) -> None:
    asking = transport(server)
    assert asking.get(server.url + "/nowhere") is None
    with pytest.raises(BadParameters, match="no such thing.*not found"):
        asking.get_json(server.url + "/nowhere")


def test_a_redirect_is_followed_nowhere(server: ExchangeServer) -> None:
    before = len(server.asked)
    server.misbehave("redirect", to=server.url + "/elsewhere")
    with pytest.raises(BadParameters, match="redirects are not followed"):
        transport(server).get_json(server.url + RATES)
    assert len(server.asked) == before + 1


def test_a_body_is_bounded_once_unpacked(server: ExchangeServer) -> None:
    """60 kB on the wire, 60 MB unpacked: refused after the first 2 MB."""
    server.misbehave("huge", times=2)
    with pytest.raises(BadData, match="more than 2 MB"):
        transport(server, body_limit_mb=2).get_json(server.url + RATES)
    with pytest.raises(BadData, match="more than 2 MB"):
        transport(server, file_limit_mb=2).download(server.url + RATES, BytesIO())


def test_a_download_is_whole_or_begins_anew(server: ExchangeServer) -> None:
    target = BytesIO(b"older and longer content " * 1000)
    server.misbehave("truncated")
    server.misbehave("status", status=503, text="a page of excuses")
    assert transport(server).download(server.url + RATES, target)
    assert target.getvalue().startswith(b'[{"symbol"')
    assert target.getvalue().endswith(b"}]")
    assert not transport(server).download(server.url + "/nowhere", target)
    assert target.getvalue() == b""


def test_a_server_that_is_not_there_is_an_outage(server: ExchangeServer) -> None:
    with pytest.raises(TemporaryOutage, match="127.0.0.1:1/x failed"):
        transport(server).get("http://127.0.0.1:1/x?secret=1")


def test_nothing_that_is_shown_holds_a_key(server: ExchangeServer) -> None:
    asking = transport(server)
    shown = repr(asking) + repr(Request(RATES, headers={"k": KEY.get_secret_value()}))
    assert KEY.get_secret_value() not in shown
    asking.redact(SecretStr("Bearer tardis-key"))
    assert asking.words("Bearer tardis-key and sk-0123456789abcdef") == "Bearer *** and ***"


def test_the_check_for_keys_can_fail(server: ExchangeServer) -> None:
    """Planted: a key that was not given as a secret is repeated in the server's own words."""
    timing = server.timing()
    careless = Transport(RetryPolicy(), timing, RateLimiter(0.0, timing), {"X-Key": KEY.get_secret_value()})
    server.misbehave("status", status=400, text=f"no such key: {KEY.get_secret_value()}")
    with pytest.raises(BadParameters, match=KEY.get_secret_value()):
        careless.get_json(server.url + RATES)
