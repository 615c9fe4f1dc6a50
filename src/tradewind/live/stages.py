"""The stage of a rollout as a running account asks for it: read again only when a file of it has changed."""

from pathlib import Path

from tradewind.errors import BadData
from tradewind.live.session.events import StageLimits
from tradewind.operations.rollout.plan import RolloutPlan, read_rollout
from tradewind.operations.rollout.rollout import JOURNAL, Rollout


class StageSource:
    """What the present stage of a plan allows."""

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
        seen = self._stamp()
        if self._found is None or seen != self._seen:
            plan = read_rollout(self._path)
            state = Rollout(self._project, plan)
            history = state.history()
            if self._found is not None and self._found.stage != plan.name(-1) and not history.records:
                raise BadData(f"{state.path} is gone: restore it (tradewind restore), or begin the rollout anew")
            self._journal, self._found, self._seen = state.path, _limits(plan, history.at, history.reduced), seen
        return self._found

    def _stamp(self) -> tuple[int, ...]:
        out: list[int] = []
        for path in (self._path, self._journal):
            try:
                about = path.stat()
                out += [about.st_mtime_ns, about.st_size, about.st_ino]
            except FileNotFoundError:
                out.append(-1)
        return tuple(out)


def _limits(plan: RolloutPlan, at: int, reduces: bool) -> StageLimits:
    if at < 0:
        return StageLimits(plan.name(at), None, None, reduces)
    symbols = plan.stages[at].symbols
    return StageLimits(plan.name(at), plan.capital_of(at)[1], None if symbols == "all" else symbols, reduces)
