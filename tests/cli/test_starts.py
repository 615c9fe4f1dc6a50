"""The collector waits while a start loads, works again however that ended, and sets aside once."""

import gc

import pytest

from tradewind.cli import starts


@pytest.fixture(autouse=True)
def a_process_that_has_not_started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    frozen = list[int]()
    monkeypatch.setattr(starts._Frozen, "done", False)
    monkeypatch.setattr(starts.gc, "freeze", lambda: frozen.append(1))
    return frozen


def test_the_collector_waits_and_works_again_also_after_an_error(a_process_that_has_not_started: list[int]) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="late"), starts.without_collection():
            assert not gc.isenabled()
            with starts.without_collection():
                assert not gc.isenabled()
            assert not gc.isenabled()
            raise ValueError("late")
        assert gc.isenabled()
    assert a_process_that_has_not_started == [1]


def test_a_process_without_collector_keeps_it_off(a_process_that_has_not_started: list[int]) -> None:
    gc.disable()
    try:
        with starts.without_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert a_process_that_has_not_started == []
