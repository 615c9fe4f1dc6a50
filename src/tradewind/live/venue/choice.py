"""Where an account's orders go, and how that is said wherever people look: PAPER, TESTNET or LIVE."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from tradewind.data.feeds.binance import REST, STREAM
from tradewind.data.sources.ccxt_account import Keys
from tradewind.errors import BadParameters
from tradewind.live.settings import BrokerRules, PaperFills
from tradewind.live.venue.ccxt_broker import Opening, open_broker
from tradewind.live.venue.paper import PaperVenue, Venue
from tradewind.operations.journal.fence import Turn
from tradewind.parameters import faults
from tradewind.trading.execution.costs import Costs

# Spot Test Network: its prices are its own, so that its account is fed by its own streams.
TESTNET_REST, TESTNET_STREAM = "https://testnet.binance.vision", "wss://stream.testnet.binance.vision"


class Mode(NamedTuple):
    """How an account is called: in its journal, in large letters, and what that means."""

    name: str
    label: str
    means: str


PAPER = Mode("paper", "PAPER", "no real money")
MODES = {
    "paper": PAPER,
    "testnet": Mode("testnet", "TESTNET", "orders go to the venue's test network: no real money"),
    "live": Mode("live", "LIVE", "REAL MONEY"),
}


def mode_of(broker: BrokerRules | None) -> Mode:
    """Of what is configured."""
    return PAPER if broker is None else MODES[broker.network]


def mode_of_run(about: Mapping[str, Any]) -> Mode:
    """Of a run, by its first record."""
    return MODES[about.get("broker", PAPER.name)]


def require_same_mode(about: Mapping[str, Any] | None, mode: Mode, folder: Path) -> None:
    """Nothing, where the run that is there was begun with orders going to the same place.

    Args:
        about: of that run; None: there is none.
        mode: of what is configured.
        folder: of the run.

    Raises:
        BadParameters: it was begun with another one.
    """
    if about is not None and mode_of_run(about) != mode:
        raise BadParameters(
            f"the run in {folder} is a {mode_of_run(about).label} account, and {mode.label} is configured "
            "(paper.broker): choose another paper.folder, or start with --new-run"
        )


def addresses(broker: BrokerRules | None) -> tuple[str, str]:
    """Where prices come from, REST and streams: of the same network that orders go to."""
    if broker is None:
        return REST, STREAM
    if broker.base_url:
        return broker.base_url, broker.base_url.replace("http", "ws", 1)
    return (REST, STREAM) if broker.network == "live" else (TESTNET_REST, TESTNET_STREAM)


def keys_of(broker: BrokerRules | None, credentials: Mapping[str, Any]) -> Keys | None:
    """The keys of the account that is configured, None where there are none.

    A file that systemd hands over (`LoadCredential=binance_testnet.json:...`) comes before credentials.yml.

    Args:
        broker: what is configured.
        credentials: of the project, by name.

    Raises:
        BadParameters: they are no keys; the message has no part of them.
    """
    if broker is None:
        return None
    path = Path(os.environ.get("CREDENTIALS_DIRECTORY", "")) / f"{broker.account}.json"
    where = f"credentials {broker.account}"
    if os.environ.get("CREDENTIALS_DIRECTORY") and path.is_file():
        where = str(path)
        try:
            given = json.loads(path.read_bytes())
        except ValueError:
            raise BadParameters(f"{where} is not JSON: write {{api_key, api_secret}}") from None
    else:
        given = credentials.get(broker.account)
    if given is None:
        return None
    try:
        return Keys.model_validate(given)
    except ValidationError as error:
        raise BadParameters(f"{where}: {faults(error, show_values=False)}") from None


class Simulated(NamedTuple):
    """How fills are simulated, and what they cost."""

    fills: PaperFills
    costs: Costs


def open_venue(opening: Opening, simulated: Simulated, ledger: Path, turn: Turn) -> Venue:
    """The broker of a run: an account at a venue where one is configured, else the paper venue.

    Args:
        opening: see `ccxt_broker.Opening`; its `rules` are None for paper.
        simulated: of the paper venue.
        ledger: of its orders.
        turn: of this process.
    """
    if opening.rules is None:
        return PaperVenue(ledger, simulated.fills, simulated.costs, opening.instruments, turn)
    return open_broker(opening, ledger, turn)
