"""Locks of stores lie where nobody else can write, and follow no link."""

import hashlib
import multiprocessing
import threading
from pathlib import Path

import pytest

from tradewind.data.stores.one_writer import one_writer
from tradewind.errors import BadParameters


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tradewind/locks"


def test_a_second_thread_waits_and_another_name_does_not() -> None:
    order: list[str] = []

    def second() -> None:
        with one_writer("store"):
            order.append("second")

    with one_writer("store"):
        waiting = threading.Thread(target=second)
        waiting.start()
        with one_writer("another"):
            order.append("another")
        waiting.join(0.2)
        assert waiting.is_alive()
        order.append("first")
    waiting.join(30)
    assert order == ["another", "first", "second"]


def enter(done: object) -> None:
    with one_writer("store"):
        done.set()  # type: ignore[attr-defined]


def test_another_process_waits() -> None:
    context = multiprocessing.get_context("fork")
    done = context.Event()
    with one_writer("store"):
        other = context.Process(target=enter, args=(done,))
        other.start()
        assert not done.wait(0.3)
    assert done.wait(30)
    other.join()


def test_a_planted_link_is_refused_and_its_target_untouched(own_cache: Path, tmp_path: Path) -> None:
    own_cache.mkdir(parents=True, mode=0o700)
    target = tmp_path / "target"
    target.write_text("precious")
    (own_cache / hashlib.sha256(b"store").hexdigest()[:32]).symlink_to(target)
    with pytest.raises(BadParameters, match="is not a plain file"), one_writer("store"):
        pass
    assert target.read_text() == "precious"


@pytest.mark.parametrize("fault", ["link", "open to others", "not a folder"])
def test_a_folder_that_others_may_write_to_is_refused(own_cache: Path, tmp_path: Path, fault: str) -> None:
    own_cache.parent.mkdir(parents=True)
    if fault == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        own_cache.symlink_to(tmp_path / "theirs")
    elif fault == "open to others":
        own_cache.mkdir()
        own_cache.chmod(0o777)
    else:
        own_cache.write_text("")
    with pytest.raises(BadParameters, match="set XDG_CACHE_HOME"), one_writer("store"):
        pass
