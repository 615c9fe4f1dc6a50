"""One at a time in a folder: who is in the way is named, who has died is not, and no link is followed."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tradewind.errors import BadParameters, FolderInUse
from tradewind.folder_lock import NAME, locked, open_inside

FORK = multiprocessing.get_context("fork")


def hold(folder: Path, ready: Any) -> None:
    with locked(folder, "kedro run --env other"):
        ready.set()
        signal.pause()


def started(folder: Path) -> Any:
    """A process that has the folder."""
    ready = FORK.Event()
    process = FORK.Process(target=hold, args=(folder, ready))
    process.start()
    assert ready.wait(30)
    return process


def test_who_is_in_the_way_is_named_and_who_was_killed_is_not(tmp_path: Path) -> None:
    process = started(tmp_path)
    with pytest.raises(FolderInUse) as told, locked(tmp_path, "mine"):
        pass
    assert f"{tmp_path} is in use by process {process.pid} since 20" in str(told.value)
    assert "(kedro run --env other): wait for it, or end it" in str(told.value)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert f'"pid": {process.pid}' in (tmp_path / NAME).read_text()  # left by the dead
    with locked(tmp_path, "mine"):
        assert f'"pid": {os.getpid()}' in (tmp_path / NAME).read_text()
    assert (tmp_path / NAME).read_text() == ""


def test_a_second_run_of_the_same_process_does_not_open_the_lock_for_others(tmp_path: Path) -> None:
    with locked(tmp_path, "first"):
        with pytest.raises(FolderInUse, match="another run of this process"), locked(tmp_path, "second"):
            pass
        process = FORK.Process(target=hold, args=(tmp_path, FORK.Event()))
        process.start()
        process.join()
        assert process.exitcode == 1  # it was turned away


def test_a_fork_that_outlives_its_parent_holds_nothing(tmp_path: Path) -> None:
    """Worker processes are forks: one that goes on after a kill must not keep the folder."""

    def parent(ready: Any, worker_pid: Any) -> None:
        with locked(tmp_path, "parent"):
            worker = os.fork()
            if worker == 0:
                signal.pause()
            worker_pid.value = worker
            ready.set()
            signal.pause()

    ready, worker_pid = FORK.Event(), FORK.Value("i", 0)
    process = FORK.Process(target=parent, args=(ready, worker_pid))
    process.start()
    assert ready.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    try:
        with locked(tmp_path, "next"):
            pass
    finally:
        os.kill(worker_pid.value, signal.SIGKILL)


@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "folder", "pipe"])
def test_a_planted_name_is_refused_and_its_target_untouched(tmp_path: Path, kind: str) -> None:
    target, folder = tmp_path / "target", tmp_path / "data"
    folder.mkdir()
    target.write_text("precious")
    lock = folder / NAME
    match kind:
        case "link":
            lock.symlink_to(target)
        case "dangling link":
            lock.symlink_to(tmp_path / "made through the link")
        case "hard link":
            lock.hardlink_to(target)
        case "folder":
            lock.mkdir()
        case "pipe":
            os.mkfifo(lock)
    with pytest.raises(BadParameters, match="is not a plain file: remove it"), locked(folder, "mine"):
        pass
    assert target.read_text() == "precious"
    assert not (tmp_path / "made through the link").exists()


def test_the_file_is_made_inside_the_folder_for_its_user_alone(tmp_path: Path) -> None:
    os.close(open_inside(tmp_path / "new/data", NAME))
    assert (tmp_path / "new/data" / NAME).stat().st_mode & 0o777 == 0o600
