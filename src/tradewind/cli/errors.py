"""Every command's errors end in one line; `--verbose` shows the traceback, too."""

import copy
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.utils import KedroCliError, LazyGroup

from tradewind.atomic import NO_ROOM
from tradewind.errors import TradewindError
from tradewind.service_command import FAILED, Service, ended_by, exit_code

_VERBOSE = "tradewind.verbose"
STOPPED = "Stopped by Ctrl-C: what was complete is kept, nothing is half written; the same command goes on from there"
INTERRUPTED = 130  # as shells say of a command that Ctrl-C ended
_ADVICE = re.compile(r"\s*For further information visit \S+")
# OmegaConf puts an error of a resolver into its own words.
_RESOLVED = re.compile(r"^\w+ raised while resolving interpolation: (.*?)\s+full_key: .*$", re.DOTALL)
# What Kedro and OmegaConf say of what was typed, and what to say instead.
_NAMES = (
    (
        r"Failed to find the pipeline named '([^']*)'.*?(?:instead\?\s*(.*))?$",
        "there is no pipeline {0!r}: `kedro registry list` shows them{1}",
    ),
    (
        r"Pipeline does not contain nodes named (\[.*?\])(.*)$",
        "no node of this pipeline is called {0}: `kedro registry describe PIPELINE` lists them{1}",
    ),
    (
        r"Pipeline does not contain datasets? named (\[.*?\])(.*)$",
        "no dataset of this pipeline is called {0}: `kedro status` lists them{1}",
    ),
    (
        r"(Pipeline contains no nodes) after applying(.*)$",
        "no node fits --tags and the other filters together: `kedro registry describe PIPELINE` lists what there is",
    ),
    (
        r"('(?:list|str|int)' object has no attribute 'items')()",
        "a file of the configuration holds a list or a word where names with values are asked for: write NAME: VALUE, "
        "line by line, in the parameters and catalog of --env",
    ),
    (
        r"(Cannot merge incompatible container types)()",
        "a list is given as a block of keys, or a block as a list, in --params or in a parameters file of --env: give "
        "a list as words (--params='universe.symbols=A B')",
    ),
)
_TWICE = re.compile(r"found duplicate key (\S+)\s+in .*?line (\d+)", re.DOTALL)
_NO_PAIR = "must contain a key and a value separated by"
_GIVEN = re.compile(r" \[type=\w+, input_value=(.*), input_type=\w+\]$")


class PlainGroup(LazyGroup):
    """A group of commands whose errors are shown in one line."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded when it is asked for."""
        command = super().get_command(ctx, cmd_name)
        return None if command is None else plainly(command)


def plainly(command: click.Command) -> click.Command:
    """A copy of the command, or of the group and all its commands, that tells errors in one line."""
    plain: Any = copy.copy(command)
    if isinstance(command, click.Group):
        plain.get_command = _of_group(command)
        return plain
    plain.params = list(command.params)
    if not any(parameter.name == "verbose" for parameter in plain.params):
        plain.params.append(
            click.Option(
                ["--verbose"], is_flag=True, expose_value=False, is_eager=True, callback=_remember,
                help="Show the traceback of an error, too.",
            )
        )  # fmt: skip
    plain.parse_args = lambda ctx, args: _explained(ctx, lambda: _parsed(plain, ctx, args))
    plain.invoke = lambda ctx: _explained(ctx, lambda: command.__class__.invoke(plain, ctx))
    return plain


def _parsed(command: Any, ctx: click.Context, args: list[str]) -> list[str]:
    """Arguments that are left over; an option without its value is refused, since Kedro would take its default."""
    left: list[str] = type(command).parse_args(command, ctx, args)
    typed = click.core.ParameterSource.COMMANDLINE
    for option in command.params:
        value = ctx.params.get(option.name, 0)
        if ctx.get_parameter_source(option.name) is typed and value in ("", [], (), {}):
            raise click.BadParameter("needs a value: give one, or leave the option out", ctx, option)
    return left


def _of_group(group: click.Group) -> Callable[[click.Context, str], click.Command | None]:
    def get_command(ctx: click.Context, name: str) -> click.Command | None:
        command = group.get_command(ctx, name)
        return None if command is None else plainly(command)

    return get_command


def _remember(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.meta[_VERBOSE] = value


def _explained(ctx: click.Context, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt as interrupt:
        click.echo(f"\n{STOPPED}", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from interrupt
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        if ctx.meta.get(_VERBOSE) or ctx.params.get("verbose"):
            click.echo(traceback.format_exc(), err=True)
        code = exit_code(error) if isinstance(ctx.command, Service) else FAILED
        raise ended_by(line, code) from error


def explain(error: BaseException) -> str | None:
    """What went wrong, where, and what to do, in one line; None for what is a fault of the program.

    Told are the project's own errors, those of Kedro and click that say what a user did, wrong parameters, and what
    the operating system refuses.
    """
    chain = list(_causes(error))
    text = next((text for one in chain if (text := _message_of(one)) is not None), None)
    if text is None:
        return None
    notes = [note for one in chain for note in getattr(one, "__notes__", ()) if note.startswith("in node ")]
    line = " ".join(text.split()).rstrip(".")
    return f"{line} ({notes[0]})" if notes else line


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The project's own errors of the chain first, since they say most; then the chain from the outside in."""
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    yield from (one for one in chain if isinstance(one, TradewindError))
    yield from (one for one in chain if not isinstance(one, TradewindError))


def _message_of(error: BaseException) -> str | None:
    from kedro.config import MissingConfigException
    from kedro.validation.exceptions import ParameterValidationError
    from pydantic import ValidationError

    from tradewind.parameters import faults

    if isinstance(error, TradewindError):
        return str(error)
    if isinstance(error, ParameterValidationError):
        return _of_parameters(str(error))
    if isinstance(error, ValidationError):
        return f"{error.title}: {faults(error)}"
    if isinstance(error, MissingConfigException):
        return _of_environment(str(error))
    if isinstance(error, KedroCliError):
        return str(error.message)
    if isinstance(error, click.UsageError):
        return _of_usage(error)
    if isinstance(error, click.ClickException):
        return error.message
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, OSError) and error.errno in NO_ROOM:  # of a file that is open, which the system does not name
        return f"{error.strerror}: free space (or raise the quota) and run again"
    if isinstance(error, ModuleNotFoundError):
        return _of_module(error)
    if type(error).__module__ == "sqlite3" or type(error).__module__.startswith("sqlalchemy."):
        # MLflow's or Optuna's file, on a disk that is full, not ours to write to, or held by another process.
        return _of_database(getattr(error, "orig", None) or error)
    return _of_kedro(error)


def _of_database(error: BaseException) -> str | None:
    """What SQLite says of its file; None for a statement that is wrong, which is a fault of the program."""
    refused = ("readonly", "full", "locked", "unable to open", "disk I/O", "malformed", "not a database")
    if not any(word in str(error) for word in refused):
        return None
    return f"a database of the run (mlflow.db, or a study's) says: {error}. See that it is whole, and may be written to"


def _of_usage(error: click.UsageError) -> str:
    ask = f"; see '{error.ctx.command_path} --help'" if error.ctx is not None else ""
    text = error.format_message().rstrip(".")
    if _NO_PAIR in text:  # a comma ends a pair, so that a list cannot have any
        ask = ": pairs have commas between, and a list is given as words, --params='models=lightgbm linear'" + ask
    return text + ask


def _of_parameters(text: str) -> str:
    """Kedro's account of parameters that do not fit, which holds pydantic's of each block, with whole key paths."""
    told = []
    for part in re.split(r"^- Parameter ", text, flags=re.MULTILINE)[1:]:
        key, _, rest = part.partition(": ")
        key = key.strip("'")
        lines = rest.splitlines()
        at = next((number for number, line in enumerate(lines) if "validation error" in line), None)
        told.append(f"{key}: {rest}" if at is None else _faults("\n".join(lines[at:]), f"{key}."))
    return "parameters: " + "; ".join(told)


def _faults(text: str, before: str) -> str:
    """pydantic's message as text, a clause a fault: KEY.PATH: what is wrong, found VALUE."""
    from tradewind.parameters import in_plain_words

    clauses, key = [], before.rstrip(".")
    for line in text.splitlines()[1:]:
        if not line.startswith(" "):
            key = before + line.strip()
        elif not _ADVICE.match(line):
            given = _GIVEN.search(line)
            what = in_plain_words(_GIVEN.sub("", line.strip()))
            clauses.append(f"{key}: {what}" + (f", found {given[1]}" if given and what != "is missing" else ""))
    return "; ".join(clauses)


def _of_environment(text: str) -> str:
    """Kedro's words for a folder of configuration that is not there; the environments that there are."""
    folder = re.search(r"valid directory: (.+)", text)  # which may have blanks
    if folder is None:
        return text
    path = Path(folder[1].strip())
    up = path.parts.index("..") if ".." in path.parts else len(path.parts) - 1
    root, name = Path(*path.parts[:up]), "/".join(path.parts[up:])
    if not root.is_dir():
        return f"{root} is no folder of configuration: --conf-source names one that holds base/"
    known = sorted(one.name for one in root.glob("*") if one.is_dir())
    return f"there is no environment {name!r}: --env is one of {', '.join(known)}, a folder of {root}"


def _of_module(error: ModuleNotFoundError) -> str | None:
    from tradewind.extras import extra_of

    extra = extra_of(error.name or "")
    return None if extra is None else f"{error.name} is not installed: pip install 'tradewind[{extra}]'"


def _of_kedro(error: BaseException) -> str | None:
    """The message of an error that Kedro, its datasets or OmegaConf raise themselves, about what they are given."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = str(trace.tb_frame.f_globals.get("__name__", "")) if trace is not None else ""
    of = {type(error).__module__.partition(".")[0], raised_in.partition(".")[0]}
    return _in_our_words(str(error)) if of & {"kedro", "kedro_datasets", "omegaconf"} else None


def _in_our_words(text: str) -> str:
    resolved = _RESOLVED.match(text)
    if resolved:
        return resolved[1]
    twice = _TWICE.search(text)
    if twice:
        return f"a file of the configuration gives {twice[1]} twice, again in line {twice[2]}: remove one of the two"
    for pattern, words in _NAMES:
        found = re.match(pattern, text, re.DOTALL)
        if found:
            near = ", ".join(found[2].split()) if found[2] else ""
            return words.format(found[1], f"; near it: {near}" if near.strip(". ") else "")
    return text
