"""The stage of a rollout as a running account asks for it, and its status as people look at it."""

import asyncio
import time
from pathlib import Path

from tradewind.errors import BadData, TradewindError
from tradewind.live.session.events import StageLimits
from tradewind.operations.rollout.history import History
from tradewind.operations.rollout.plan import RolloutPlan, read_rollout
from tradewind.operations.rollout.rollout import JOURNAL, Rollout
from tradewind.operations.rollout.status import Status

FRESH_S = 60.0  # the status is read again after so long,
SHARE = 0.05  # or after so much longer that reading takes no more than this share of the time


class StageSource:
    """What the present stage of a plan allows; read again only when a file of it has changed."""

    def __init__(self, project: Path, path: Path) -> None:
        """A source for the plan in `path`, whose folders are below `project`."""
        self._project, self._path = project, path
        self._seen: tuple[int, ...] = ()
        self._journal = project / read_rollout(path).state / JOURNAL
        self._found: StageLimits | None = None

    def __call__(self) -> StageLimits:
        """The limits of the stage.

        Raises:
            BadData: the rollout's journal is not what was written, has gone, or something in it is forged.
            BadParameters: the plan cannot be read any more.
        """
        seen = _stamp(self._path, self._journal)
        if self._found is None or seen != self._seen:
            plan = read_rollout(self._path)
            state = Rollout(self._project, plan)
            history = state.history()
            if self._found is not None and self._found.stage != plan.name(-1) and not history.records:
                raise BadData(f"{state.path} is gone: restore it (tradewind restore), or begin the rollout anew")
            self._journal, self._found, self._seen = state.path, _limits(plan, history), seen
        return self._found


class RolloutView:
    """The status of a rollout, for a page that is asked for every few seconds.

    It is read in a thread, since the account's whole journal is measured for it and the account must not wait.

    Attributes:
        status: as it was last read; None before that.
        problem: why it could not be read the last time, empty if it could.
    """

    def __init__(self, project: Path, path: Path) -> None:
        """A view of the plan in `path`, whose folders are below `project`."""
        self._project, self._path = project, path
        self.status: Status | None = None
        self.problem = ""
        self._journal = project / read_rollout(path).state / JOURNAL
        self._seen: tuple[int, ...] = ()
        self._until, self._reads = 0.0, False

    def is_of(self, folder: Path) -> bool:
        """Whether the plan takes its evidence from the run in this folder."""
        return self.status is not None and (self._project / self.status.run).resolve() == folder.resolve()

    async def refresh(self) -> None:
        """Read it again if it is old or a file of the rollout has changed; who comes meanwhile does not wait."""
        seen, began = _stamp(self._path, self._journal), time.monotonic()
        if self._reads or (seen == self._seen and began < self._until):
            return
        self._reads = True
        try:
            self.status, self.problem = await asyncio.to_thread(self._read), ""
        except TradewindError as error:
            self.problem = str(error)
        finally:
            took = time.monotonic() - began
            self._reads, self._seen, self._until = False, seen, began + took + max(FRESH_S, took / SHARE)

    def _read(self) -> Status:
        state = Rollout(self._project, read_rollout(self._path))
        self._journal = state.path
        return state.status()


def _stamp(*paths: Path) -> tuple[int, ...]:
    """What changes when one of the files does."""
    out: list[int] = []
    for path in paths:
        try:
            about = path.stat()
            out += [about.st_mtime_ns, about.st_size, about.st_ino]
        except FileNotFoundError:
            out.append(-1)
    return tuple(out)


def _limits(plan: RolloutPlan, state: History) -> StageLimits:
    at, reduces = state.at, state.reduced
    if at < 0:
        return StageLimits(plan.name(at), None, None, reduces)
    symbols = plan.stages[at].symbols
    return StageLimits(
        plan.name(at), plan.capital_of(at)[1], None if symbols == "all" else symbols, reduces, plan.go.people,
        tuple(sorted(state.resumes.items())),
    )  # fmt: skip
