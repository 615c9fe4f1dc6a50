"""`tradewind`: the light console script for what is in production. It loads neither kedro nor mlflow.

A command is a function in a module of this room; `COMMANDS` says where, so that only the one that is called is loaded.
"""

from importlib import import_module
from typing import Any

import click

from tradewind.errors import TradewindError

COMMANDS = {
    "serve": "tradewind.console.serve.serve",
    "token": "tradewind.console.serve.token",
    "models": "tradewind.console.models.models",
    "canary": "tradewind.console.models.canary",
    "backup": "tradewind.console.backup.backup",
    "backup-key": "tradewind.console.backup.backup_key",
    "restore": "tradewind.console.backup.restore",
    "rollout": "tradewind.console.rollout.rollout",
    "alarms": "tradewind.console.alarms.alarms",
}


class _Lazy(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, function = COMMANDS[name].rpartition(".")
        command: click.Command = getattr(import_module(module), function)
        return command

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except TradewindError as error:
            raise click.ClickException(str(error)) from error
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("tradewind"):
                raise
            raise click.ClickException(
                f"{error.name} is not installed: pip install 'tradewind[serve]' --constraint constraints.txt"
            ) from error


@click.group(cls=_Lazy)
def main() -> None:
    """What is in production: serve models, choose, compare and take them back; keep it and bring it back."""
