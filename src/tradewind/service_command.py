"""Commands that a service manager keeps alive: their exit code says whether it helps to start them again."""

from typing import Any

import click

from tradewind.errors import TemporaryOutage, TradewindError

FAILED = 1  # started again, it may go on
PERSON_NEEDED = 78  # EX_CONFIG of sysexits.h: it would end the same way until a person has done what the line says


def exit_code(error: BaseException | None) -> int:
    """Of a service that ended with an error which could be explained: `FAILED` for what may pass by itself (an outage,
    or what the operating system refuses and none of our own errors explains), else `PERSON_NEEDED`."""
    is_refused = False
    while error is not None:
        if isinstance(error, TradewindError):
            return FAILED if isinstance(error, TemporaryOutage) else PERSON_NEEDED
        is_refused = is_refused or isinstance(error, OSError)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return FAILED if is_refused else PERSON_NEEDED


class PersonNeeded(click.ClickException):
    """An error of one line that starting again would not mend."""

    exit_code = PERSON_NEEDED


def ended_by(line: str, code: int) -> click.ClickException:
    """What click shows and ends with.

    Args:
        line: for people.
        code: `FAILED` or `PERSON_NEEDED`.
    """
    return PersonNeeded(line) if code == PERSON_NEEDED else click.ClickException(line)


class Service(click.Command):
    """A command that runs until it is asked to end."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Arguments that are left over; a wrong one is nothing that starting again would mend."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise PersonNeeded(f"{error.format_message()} See '{ctx.command_path} --help'") from error

    def invoke(self, ctx: click.Context) -> Any:
        """The command; its typed errors end it with the exit code that fits."""
        try:
            return super().invoke(ctx)
        except TradewindError as error:
            raise ended_by(str(error), exit_code(error)) from error
