"""Delta tables in one folder: made when first written, merged by a rule, tried again where commits collide."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from tradewind.data.stores.one_writer import one_writer
from tradewind.errors import BadData, BadParameters, TemporaryOutage

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

Answer = TypeVar("Answer")

# Writers of one machine wait for each other; these are for those of other machines, and for outages.
_WAITS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
_TIDY_EVERY = 50  # commits
_REFUSED = ("403", "Forbidden", "AccessDenied", "Unauthenticated", "InvalidAccessKeyId", "SignatureDoesNotMatch")

_UNREACHED = ("error sending request", "Generic S3 error", "timed out")


class Rules(BaseModel):
    """`path` is a folder or a URL (`s3://bucket/market`); `storage_options` as delta-rs takes them."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: str = Field(min_length=1)
    storage_options: dict[str, SecretStr] = Field(default_factory=dict)


@dataclass(frozen=True)
class MergeRule:
    """When a row is known, and what becomes of it: `update` is set from the arriving row (`s`) where `newer` holds."""

    identity: Sequence[str]
    update: str = ""
    newer: str = ""
    partitions: Sequence[str] = field(default_factory=tuple)


class DeltaTables:
    """The tables of one store."""

    def __init__(self, rules: Rules, wait: Callable[[float], None] = time.sleep) -> None:
        """No table is touched yet; `wait` gets the seconds between attempts."""
        self.where = f"the Delta tables in {rules.path}"
        self._path = rules.path.rstrip("/")
        self._options = {name: value.get_secret_value() for name, value in rules.storage_options.items()} or None
        self._wait = wait

    def __repr__(self) -> str:
        return f"DeltaTables({self._path!r})"

    def merge(self, name: str, rows: "pa.Table", rule: MergeRule, within: str = "") -> int:
        """Insert the rows that are not there, and update those that the rule lets be updated, in one transaction.

        Args:
            name: of the table, which is made if there is none.
            rows: to be merged; no two of one identity.
            rule: what makes two rows the same, what is updated when, and the columns to partition by.
            within: SQL that narrows the stored rows (`t`) that they are compared with.

        Returns:
            How many rows are new.
        """

        def work() -> int:
            table = self._open(name, rows.schema, rule.partitions)
            same = " AND ".join(f"t.{column} = s.{column}" for column in rule.identity)
            merger = table.merge(rows, f"{within} AND {same}" if within else same, source_alias="s", target_alias="t")
            if rule.update:
                merger = merger.when_matched_update({rule.update: f"s.{rule.update}"}, predicate=rule.newer)
            metrics = merger.when_not_matched_insert_all().execute()
            self._settle(name, table)
            return int(metrics["num_target_rows_inserted"])

        with one_writer(f"{self._path} {name}"):
            return self._try(work)

    def append(self, name: str, rows: "pa.Table") -> None:
        """Add the rows; added twice, they are there twice."""
        from deltalake import write_deltalake

        def work() -> None:
            table = self._open(name, rows.schema, ())
            write_deltalake(table, rows, mode="append")
            self._settle(name, table)

        with one_writer(f"{self._path} {name}"):
            self._try(work)

    def read(self, name: str, columns: Sequence[str], condition: str = "") -> "pa.Table | None":
        """The rows that meet the condition, in no order; None where there is no such table yet.

        Args:
            name: of the table.
            columns: to be read.
            condition: SQL over the columns; "" takes all rows.
        """
        import pyarrow as pa
        from deltalake import DeltaTable

        def work() -> "pa.Table | None":
            if not DeltaTable.is_deltatable(self._at(name), self._options):
                return None
            table = DeltaTable(self._at(name), storage_options=self._options)
            return pa.table(table.scan(columns=list(columns), predicate=condition or None))

        return self._try(work)

    def partitions(self, name: str) -> list[dict[str, str]]:
        """The partitions that hold files; none where there is no such table yet."""
        from deltalake import DeltaTable

        def work() -> list[dict[str, str]]:
            if not DeltaTable.is_deltatable(self._at(name), self._options):
                return []
            return DeltaTable(self._at(name), storage_options=self._options).partitions()

        return self._try(work)

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _open(self, name: str, schema: "pa.Schema", partitions: Sequence[str]) -> "DeltaTable":
        from deltalake import DeltaTable

        if not DeltaTable.is_deltatable(self._at(name), self._options):
            return DeltaTable.create(
                self._at(name), schema, mode="ignore", partition_by=list(partitions), storage_options=self._options
            )
        return DeltaTable(self._at(name), storage_options=self._options)

    def _try(self, work: Callable[[], Answer]) -> Answer:
        """What `work` answers, tried again where another writer was first or the storage did not answer."""
        import pyarrow as pa
        from deltalake.exceptions import CommitFailedError, DeltaError

        failure = ""
        for pause in (*_WAITS_S, None):
            try:
                return work()
            except CommitFailedError:
                failure = "other writers were first each time"
            except OSError as error:
                if any(word in str(error) for word in _REFUSED):
                    raise BadParameters(
                        f"{self.where}: the storage refuses access: correct its storage_options in conf/local"
                    ) from None  # its message may quote what was sent
                failure = type(error).__name__
            except (DeltaError, pa.ArrowInvalid) as error:
                if any(word in str(error) for word in _UNREACHED):
                    failure = "the storage does not answer"
                    if pause is not None:
                        self._wait(pause)
                    continue
                raise BadData(f"{self.where} cannot be read or written: {str(error)[:300]}") from error
            except BaseException as error:
                if "Forked process" not in str(error):
                    raise
                raise BadParameters(
                    f"{self.where} cannot be used in a process that was forked from one that used Delta tables: start "
                    "processes by spawn or forkserver, as compute.executor does"
                ) from None
            if pause is not None:
                self._wait(pause)
        raise TemporaryOutage(f"{self.where} could not be asked ({failure}): try again later")

    def _settle(self, name: str, table: "DeltaTable") -> None:
        """Flush to the disk before the write counts as done, and compact the files now and then."""
        if "://" not in self._path:
            _sync_commit(Path(self._at(name)), table.version())
        if table.version() and table.version() % _TIDY_EVERY == 0:
            _tidy(table)


def _tidy(table: "DeltaTable") -> None:
    """Small files become large ones; what nobody has referred to for a week goes."""
    from deltalake.exceptions import CommitFailedError

    try:
        table.optimize.compact()
    except CommitFailedError:
        return  # somebody is writing: the next round does it
    table.vacuum(dry_run=False)


def _sync_commit(root: Path, version: int) -> None:
    """delta-rs leaves it to the system when its files reach the disk; a receipt promises that they have."""
    log = root / "_delta_log" / f"{version:020}.json"
    entries: list[dict[str, Any]] = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    files = [root / unquote(entry["add"]["path"]) for entry in entries if "add" in entry]
    for path in (*files, *{file.parent for file in files}, log, log.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
