"""What a run makes: what is missing or stale, and nothing on inputs that something else has made."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradewind.errors import BadParameters, StaleInput
from tradewind.provenance.origins import Project, State

_SHOWN = 3


@dataclass(frozen=True)
class Plan:
    """What a run makes.

    Attributes:
        make: the nodes to run, in their order.
        unchanged: nodes of the pipeline whose outputs are what they would make now.
        added: nodes that are not of the pipeline and whose outputs are kept in memory alone.
        why: for every stage that is run, the reasons, each once.
    """

    make: tuple[Any, ...]
    unchanged: tuple[Any, ...]
    added: tuple[Any, ...]
    why: Mapping[str, tuple[str, ...]]

    def lines(self) -> list[str]:
        """What is made anew and why, and what is left as it is."""
        total = len(self.make) + len(self.unchanged)
        if not self.make:
            return [f"nothing to make: all {total} nodes are up to date (--force makes them anew)"]
        shown = [f"{len(self.make)} of {total} nodes are to be run"]
        shown += [f"  {stage}: {_listed(reasons, '; ')}" for stage, reasons in self.why.items()]
        if self.unchanged:
            shown.append(f"  {len(self.unchanged)} nodes are up to date and are not run (--force runs them, too)")
        return shown


@dataclass(frozen=True)
class Command:
    """How the run was asked for, to say how to make what it lacks."""

    env: str = ""
    parameters: Mapping[str, Any] | None = None

    def of_stages(self, stages: Sequence[str]) -> str:
        """The command that runs these stages with the same settings."""
        words = ["kedro", "run"]
        words += ["--env", self.env] if self.env else []
        if self.parameters:
            words.append("--params=" + ",".join(f"{key}={_word(one)}" for key, one in _leaves(self.parameters)))
        return shlex.join([*words, "--pipelines", ",".join(stages)])


def plan_run(
    project: Project, nodes: Sequence[Any], command: Command, force: bool = False, only_missing: bool = False
) -> Plan:
    """What is to be run of `nodes`.

    Args:
        project: what there is, and what it should be made of.
        nodes: of the pipeline that was asked for, in the order in which they can run.
        command: how it was asked for.
        force: run all of them.
        only_missing: run only what is missing, and refuse where something there is stale.

    Raises:
        StaleInput: the run would read what is missing, or what something else has made.
        BadParameters: `only_missing`, and something that is there is stale.
    """
    reasons: dict[str, list[str]] = {}
    chosen = set[str]()
    made = set[str]()
    for node in nodes:
        found = _reasons(project, node, made, force)
        if found:
            chosen.add(node.name)
            made |= set(node.outputs)
            project.will_be_made(node.outputs)
            reasons[node.name] = found
    if only_missing:
        _refuse_stale(project, nodes, chosen)
    run, added = _with_memory(project, nodes, chosen)
    _require_fresh(project, run, {name for node in run for name in node.outputs}, command)
    why: dict[str, dict[str, None]] = {}
    for node in run:
        for reason in reasons.get(node.name, ()):
            why.setdefault(_stage(node), {})[reason] = None
    names = {node.name for node in run}
    unchanged = tuple(node for node in nodes if node.name not in names and _keeps_something(project, node))
    return Plan(run, unchanged, added, {stage: tuple(listed) for stage, listed in why.items()})


def _reasons(project: Project, node: Any, made: set[str], force: bool) -> list[str]:
    """Why a node has to be run; none for one whose outputs are fresh, or are kept in memory alone."""
    kept = [name for name in node.outputs if project.is_kept(name)]
    collected = [name for name in node.outputs if project.is_collection(name)]
    if force and (kept or collected):
        return ["--force"]
    if collected:
        return ["its documents are made anew"] if made & set(node.inputs) else []
    found = []
    for name in kept:
        state = project.state(name)
        if not state.is_there:
            found.append("missing")
        elif state.why:
            found.append(state.why)
    return list(dict.fromkeys(found))


def _refuse_stale(project: Project, nodes: Sequence[Any], chosen: set[str]) -> None:
    for node in nodes:
        for name in node.outputs if node.name in chosen else ():
            state = project.state(name) if project.is_kept(name) else State(False)
            if state.is_there and state.why:
                raise BadParameters(
                    f"--only-missing-outputs would leave {name} as it is, which is stale: {state.why}; leave the "
                    "option out, and what is missing or stale is made"
                )


def _with_memory(project: Project, nodes: Sequence[Any], chosen: set[str]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The chosen nodes and those that make what they read from memory, in their order; and those from elsewhere."""
    of_pipeline = {node.name for node in nodes}
    needed, waiting = set(chosen), [node for node in nodes if node.name in chosen]
    added: dict[str, Any] = {}
    while waiting:
        for name in waiting.pop().inputs:
            writer = project.writer.get(name)
            if writer is None or project.is_kept(name) or project.is_collection(name) or writer.name in needed:
                continue
            needed.add(writer.name)
            waiting.append(writer)
            if writer.name not in of_pipeline:
                added[writer.name] = writer
    run = [node for node in (*added.values(), *nodes) if node.name in needed]
    return tuple(run), tuple(added.values())


def _require_fresh(project: Project, run: Sequence[Any], made: set[str], command: Command) -> None:
    """Nothing, where all that the nodes read is there and is what would be made now."""
    lacking, stale = dict[str, str](), dict[str, State]()
    for node in run:
        for name in _read(project, node):
            if name in made or name in lacking or name in stale:
                continue
            state = project.state(name)
            if not state.is_there:
                lacking[name] = node.name
            elif state.why:
                stale[name] = state
    if not lacking and not stale:
        return
    stages = _stages_to_run(project, [*stale, *lacking])
    remedy = f"`{command.of_stages(stages)}` makes {'it' if len(stale) + len(lacking) == 1 else 'them'}"
    if stale:
        state = next(iter(stale.values()))
        raise StaleInput(f"{_are(list(stale))} stale: {state.why}: {remedy} anew")
    reader = next(iter(lacking.values()))
    raise StaleInput(f"{_are(list(lacking))} missing, which {reader} reads: {remedy}")


def _read(project: Project, node: Any) -> Iterable[str]:
    """The stored datasets that a node reads and some node writes; of a collection its documents and what they name."""
    for name in node.inputs:
        if name == "parameters" or name.startswith("params:"):
            continue
        if project.is_collection(name):
            for member in project.members(name):
                yield member
                named = project.writer[member].inputs if member in project.writer else ()
                yield from (one for one in named if one in project.writer and project.is_table(one))
        elif name in project.writer and project.is_kept(name):
            yield name


def _stages_to_run(project: Project, names: Sequence[str]) -> list[str]:
    """The stages of these datasets and of everything before them that is not fresh, in their order."""
    found, seen, waiting = set[str](), set[str](), list(names)
    while waiting:
        name = waiting.pop()
        writer = project.writer.get(name)
        if name in seen or writer is None:
            continue
        seen.add(name)
        if project.is_kept(name):
            if name not in names and project.state(name).is_fresh:
                continue
            found.add(_stage(writer))
        waiting.extend(writer.inputs)
    return [stage for stage in dict.fromkeys(_stage(node) for node in project.nodes) if stage in found]


def _keeps_something(project: Project, node: Any) -> bool:
    return any(project.is_kept(name) for name in node.outputs)


def _stage(node: Any) -> str:
    return str((node.namespace or node.name).partition(".")[0])


def _listed(words: Sequence[str], between: str) -> str:
    more = f"{between}and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return between.join(words[:_SHOWN]) + more


def _are(names: Sequence[str]) -> str:
    return f"{_listed(names, ', ')} {'is' if len(names) == 1 else 'are'}"


def _leaves(tree: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
