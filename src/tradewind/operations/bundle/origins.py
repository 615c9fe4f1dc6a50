"""What a bundle came from: the records of the tables that it was made of, and whether they belong together."""

import json
from collections.abc import Mapping
from typing import Any

from tradewind.errors import BadData, BadModel
from tradewind.provenance.records import Record, flat

ORIGINS = "origins.json"
# What a bundle is made of, by the names of the catalog; the first is what the others are held against.
TABLES = ("model_input", "bars", "side_series", "horizon_returns", "leaderboard", "verdict", "procedure")
_REMEDY = "run the pipeline and deploy the model again"


def origins_file(records: Mapping[str, Any]) -> bytes:
    """The records of the tables that a bundle is made of, as a file of the bundle.

    Args:
        records: of the data folder, as they are stored, by dataset.
    """
    return (json.dumps({name: records[name] for name in TABLES if name in records}, indent=1) + "\n").encode()


def fingerprints(content: bytes) -> dict[str, str]:
    """By table, the fingerprint that a bundle names.

    Raises:
        BadModel: the file is not one of `origins_file`, or a record in it was altered.
    """
    return {name: record.fingerprint for name, record in _records(content).items()}


def require_agreement(content: bytes, settings: Mapping[str, Any], bundle: str) -> None:
    """Nothing, where all tables that a bundle came from were made by the same settings and sources, which are its own.

    Args:
        content: of the bundle's file.
        settings: what the bundle says of itself, by the block of parameters that it was given as.
        bundle: what it is called.

    Raises:
        BadModel: two tables were made with other values of a parameter or a source, one was made from another table
            than the one that is named, or the bundle's settings are not those of its model input.
    """
    records = _records(content)
    for name, record in records.items():
        for read, fingerprint in record.origin.inputs.items():
            if read in records and records[read].fingerprint != fingerprint:
                raise BadModel(f"{bundle}: {name} was made from another {read} than the bundle: {_REMEDY}")
    if not records:
        return
    first, against = next(iter(records.items()))
    own = {key: value for block, given in settings.items() for key, value in flat(given, block).items()}
    _require_same(bundle, "the bundle", own, first, against.origin.parameters, "parameter")
    for name, record in records.items():
        _require_same(bundle, name, record.origin.parameters, first, against.origin.parameters, "parameter")
        _require_same(bundle, name, record.origin.sources, first, against.origin.sources, "source")


def _require_same(
    bundle: str, name: str, values: Mapping[str, Any], other: str, others: Mapping[str, Any], kind: str
) -> None:
    for key in sorted(set(values) & set(others)):
        if values[key] != others[key]:
            raise BadModel(
                f"{bundle}: {name} was made with {kind} {key} = {values[key]!r}, "
                f"{other} with {others[key]!r}: {_REMEDY}"
            )


def _records(content: bytes) -> dict[str, Record]:
    try:
        documents = json.loads(content)
        return {str(name): Record.of_document(one, f"{ORIGINS}, {name}") for name, one in documents.items()}
    except (ValueError, AttributeError) as error:  # BadData is a ValueError, too
        message = str(error) if isinstance(error, BadData) else f"{ORIGINS} is damaged ({error})"
        raise BadModel(f"{message.partition(': delete it')[0]}: {_REMEDY}") from error
