"""The registry: which version answers where, moved by compare-and-set in one transaction, with its whole history."""

import hashlib
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tradewind.atomic import make_folder
from tradewind.clock import now
from tradewind.errors import BadModel, BadParameters, TemporaryOutage
from tradewind.operations.bundle.contents import SPEC, Bundle, array_file, essence, json_file
from tradewind.operations.bundle.sealing import Files, place_of, read_bundle, write_bundle
from tradewind.operations.registry.gate import GateRules, missing_evidence
from tradewind.operations.registry.records import (
    ENVIRONMENTS,
    Environment,
    GateClosed,
    Move,
    Reason,
    Role,
    Roles,
    UnknownVersion,
    Version,
    VersionDiffers,
)

DATABASE, BUNDLES = "registry.sqlite", "bundles"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    version INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, identity TEXT NOT NULL UNIQUE,
    registered_at TEXT NOT NULL, verdict TEXT NOT NULL, evidence_sha256 TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS roles (
    environment TEXT NOT NULL, role TEXT NOT NULL, version INTEGER NOT NULL REFERENCES versions (version),
    PRIMARY KEY (environment, role)
);
CREATE TABLE IF NOT EXISTS moves (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, environment TEXT NOT NULL, role TEXT NOT NULL,
    action TEXT NOT NULL, before INTEGER, after INTEGER, who TEXT NOT NULL, why TEXT NOT NULL,
    evidence_sha256 TEXT NOT NULL, overridden TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS compared (
    champion INTEGER NOT NULL REFERENCES versions (version), canary INTEGER NOT NULL REFERENCES versions (version),
    edges BLOB NOT NULL, PRIMARY KEY (champion, canary)
);
CREATE TRIGGER IF NOT EXISTS moves_stay BEFORE UPDATE ON moves BEGIN SELECT RAISE(ABORT, 'moves are kept'); END;
CREATE TRIGGER IF NOT EXISTS moves_last BEFORE DELETE ON moves BEGIN SELECT RAISE(ABORT, 'moves are kept'); END;
"""


class Registry:
    """The registry in one folder: `registry.sqlite` and the bundles. Any number of processes may use it at once."""

    def __init__(self, folder: Path, gate: GateRules | None = None) -> None:
        """A registry in `folder`, which is made if it is not there."""
        self._folder, self._gate = folder, gate or GateRules()
        make_folder(folder)
        with self._transaction() as base:
            for statement in _SCHEMA.split(";\n"):
                if statement.strip():
                    base.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One writer at a time; what a killed process had not committed is not there."""
        base = sqlite3.connect(self._folder / DATABASE, timeout=30, isolation_level=None)
        try:
            base.execute("PRAGMA synchronous = FULL")
            base.execute("PRAGMA foreign_keys = ON")
            base.execute("BEGIN IMMEDIATE")
            yield base
            base.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise TemporaryOutage(f"{self._folder / DATABASE}: {error}; try again") from error
        finally:
            base.close()  # what is not committed is rolled back

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        base = sqlite3.connect(self._folder / DATABASE, timeout=30, isolation_level=None)
        try:
            yield base
        except sqlite3.OperationalError as error:
            raise TemporaryOutage(f"{self._folder / DATABASE}: {error}; try again") from error
        finally:
            base.close()

    def register(self, files: Files) -> Version:
        """Keep a bundle and give it the next version; the same bundle again has the version that it had.

        The same is also one that was made anew of the same: a deployment that was killed before it could note that it
        had registered.

        Raises:
            BadModel: the files are no bundle.
        """
        known = self._made_before(files)
        if known is not None:
            return known
        identity = write_bundle(self._folder / BUNDLES, files)
        bundle = Bundle.from_files(files, identity)
        evidence = bundle.spec.evidence
        digest = hashlib.sha256(json_file(evidence.model_dump(mode="json"))).hexdigest()
        row = (bundle.spec.name, identity, now().isoformat(), evidence.verdict, digest)
        with self._transaction() as base:
            base.execute(
                "INSERT OR IGNORE INTO versions (name, identity, registered_at, verdict, evidence_sha256) "
                "VALUES (?, ?, ?, ?, ?)", row,
            )  # fmt: skip
            found = base.execute("SELECT * FROM versions WHERE identity = ?", (identity,)).fetchone()
        return Version(*found)

    def _made_before(self, files: Files) -> Version | None:
        """The version that differs from these files in nothing but when it was made and how it was timed."""
        try:
            name, own = json.loads(files[SPEC])["name"], essence(files)
        except (KeyError, TypeError, ValueError):
            return None  # what is no bundle is refused where it is written
        for one in reversed(self.versions()):
            with suppress(BadModel):
                if one.name == name and essence(self.read(one.version)) == own:
                    return one
        return None

    def versions(self) -> list[Version]:
        """All versions, oldest first."""
        with self._reading() as base:
            return [Version(*row) for row in base.execute("SELECT * FROM versions ORDER BY version")]

    def version(self, number: int) -> Version:
        """One version.

        Raises:
            UnknownVersion: there is none of this number.
        """
        with self._reading() as base:
            row = base.execute("SELECT * FROM versions WHERE version = ?", (number,)).fetchone()
        if row is None:
            raise UnknownVersion(f"there is no version {number}: `tradewind models list` shows those there are")
        return Version(*row)

    def load(self, number: int) -> Bundle:
        """The bundle of a version, every hash checked before anything is parsed.

        Raises:
            BadModel: it is not what was registered.
        """
        files = self.read(number)
        return Bundle.from_files(files, self.version(number).identity)

    def read(self, number: int) -> Files:
        """The files of a version, every hash checked."""
        identity = self.version(number).identity
        return read_bundle(place_of(self._folder / BUNDLES, identity), identity)

    def roles(self, environment: Environment) -> Roles:
        """Who has which role."""
        _check_environment(environment)
        with self._reading() as base:
            return _roles(base, environment)

    def history(self, environment: Environment | None = None, name: str | None = None) -> list[Move]:
        """Every move, oldest first; of one environment, or of versions of one model."""
        with self._reading() as base:
            moves = [Move(*row) for row in base.execute("SELECT * FROM moves ORDER BY seq")]
        own = {one.version for one in self.versions() if one.name == name}
        return [
            move
            for move in moves
            if (environment is None or move.environment == environment)
            and (name is None or {move.before, move.after} & own)
        ]

    def move(
        self, environment: Environment, role: Role, to: int, expected: int | None, reason: Reason,
        override: bool = False,
    ) -> Roles:  # fmt: skip
        """Give a role to a version: all of it, or nothing.

        A new champion makes the old one `previous`, and is no longer the canary.

        Args:
            environment: where.
            role: champion or canary.
            to: the version.
            expected: the version that has the role now, as the caller believes; None for none.
            reason: who and why.
            override: an operator's word against the gate of production; what it lets pass is kept with the move.

        Returns:
            The roles after the move.

        Raises:
            VersionDiffers: another version has the role.
            GateClosed: its evidence does not do for production.
            UnknownVersion: there is no such version.
            BadModel: its bundle is not what was registered.
        """
        _check_environment(environment)
        if role not in ("champion", "canary"):
            raise BadParameters(f"a version is moved to champion or canary, found {role!r}")
        _check_reason(reason)
        found = self.version(to)
        overridden: tuple[str, ...] = ()
        bundle = self.load(to)
        missing = missing_evidence(bundle, self._gate) if environment == "production" else ()
        if missing:
            if not override:
                raise GateClosed(
                    f"{found.label} may not enter production; it lacks: {'; '.join(missing)}", missing
                )  # fmt: skip
            overridden = missing
        with self._transaction() as base:
            present = _roles(base, environment)
            _compare(environment, role, expected, getattr(present, role))
            if role == "champion":
                canary = None if present.canary == to else present.canary
                before = present.champion if present.champion != to else present.previous
                after = Roles(to, canary, before)
            else:
                if present.champion is None or present.champion == to:
                    raise BadParameters(f"a canary needs a champion that it is not: {environment} has {present}")
                after = present._replace(canary=to)
            _put(base, environment, after)
            row = (environment, role, "move", getattr(present, role), to, *reason, found.evidence_sha256)
            _record(base, row, "; ".join(overridden))
        return after

    def withdraw(self, environment: Environment, expected: int, reason: Reason) -> Roles:
        """Take the canary's role from it; the champion answers everything again.

        Args:
            environment: development, staging or production.
            expected: the version that has the role now.
            reason: who does it, and why.

        Returns:
            The roles afterwards.

        Raises:
            BadParameters: no such environment, or a move without a name or a reason.
            VersionDiffers: another version has the role, or none.
        """
        _check_environment(environment)
        _check_reason(reason)
        with self._transaction() as base:
            present = _roles(base, environment)
            _compare(environment, "canary", expected, present.canary)
            after = present._replace(canary=None)
            _put(base, environment, after)
            _record(base, (environment, "canary", "withdraw", expected, None, *reason, ""), "")
        return after

    def keep_edges(self, champion: int, canary: int, edges: NDArray[np.float64]) -> None:
        """Keep what two versions said of the same bars, both out of sample, which a trial of the two goes by.

        Args:
            champion: the version that answers.
            canary: the version that will be tried.
            edges: `p_up - p_down` of both in the order of time, (bars, 2); those of an earlier comparison are replaced.
        """
        content = array_file(edges.astype(np.float32))
        with self._transaction() as base:
            base.execute("INSERT OR REPLACE INTO compared VALUES (?, ?, ?)", (champion, canary, content))

    def edges_of(self, champion: int, canary: int) -> NDArray[np.float64] | None:
        """What `keep_edges` has kept, (bars, 2); None where the two were never compared.

        Raises:
            BadModel: it cannot be read.
        """
        with self._reading() as base:
            found = base.execute(
                "SELECT edges FROM compared WHERE champion = ? AND canary = ?", (champion, canary)
            ).fetchone()  # fmt: skip
        if found is None:
            return None
        try:
            edges = np.load(io.BytesIO(found[0]), allow_pickle=False).astype(np.float64)
        except (ValueError, EOFError, TypeError) as error:
            raise BadModel(
                f"what versions {champion} and {canary} said of the same bars is damaged: {error}"
            ) from error
        if edges.ndim != 2 or edges.shape[1] != 2 or not np.isfinite(edges).all():
            raise BadModel(f"what versions {champion} and {canary} said of the same bars has shape {edges.shape}")
        return np.asarray(edges)

    def rollback(self, environment: Environment, expected: int, reason: Reason) -> Roles:
        """Give the champion's role back to the last good one, whose bundle still loads.

        Good is who was champion before and was never rolled back from. The canary keeps its role unless it becomes
        the champion.

        Args:
            environment: where.
            expected: the champion now, as the caller believes.
            reason: who and why.

        Raises:
            VersionDiffers: another version is the champion.
            UnknownVersion: there is no good one to go back to.
        """
        _check_environment(environment)
        _check_reason(reason)
        good = [number for number in _good_champions(self.history(environment)) if number != expected]
        while good and not self._loads(good[-1]):
            good.pop()
        if not good:
            raise UnknownVersion(f"{environment} has no earlier champion that was never rolled back from and loads")
        to, before = good[-1], good[-2] if len(good) > 1 else None
        with self._transaction() as base:
            present = _roles(base, environment)
            _compare(environment, "champion", expected, present.champion)
            after = Roles(to, None if present.canary == to else present.canary, before)
            _put(base, environment, after)
            digest = base.execute("SELECT evidence_sha256 FROM versions WHERE version = ?", (to,)).fetchone()[0]
            _record(base, (environment, "champion", "rollback", expected, to, *reason, digest), "")
        return after

    def _loads(self, number: int) -> bool:
        try:
            self.load(number)
        except BadModel:
            return False
        return True

    def is_overridden(self, environment: Environment, number: int) -> str:
        """What the gate missed when an operator let this version in; empty if it passed."""
        entered = [move for move in self.history(environment) if move.after == number and move.action == "move"]
        return entered[-1].overridden if entered else ""

    def spec_of(self, number: int) -> bytes:
        """The checked `bundle.json` of a version."""
        return self.read(number)[SPEC]


def _roles(base: sqlite3.Connection, environment: str) -> Roles:
    return Roles(**dict(base.execute("SELECT role, version FROM roles WHERE environment = ?", (environment,))))


def _put(base: sqlite3.Connection, environment: str, roles: Roles) -> None:
    base.execute("DELETE FROM roles WHERE environment = ?", (environment,))
    rows = [(environment, role, version) for role, version in roles._asdict().items() if version is not None]
    base.executemany("INSERT INTO roles (environment, role, version) VALUES (?, ?, ?)", rows)


def _record(base: sqlite3.Connection, row: tuple[object, ...], overridden: str) -> None:
    base.execute(
        "INSERT INTO moves (at, environment, role, action, before, after, who, why, evidence_sha256, overridden) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (now().isoformat(), *row, overridden),
    )  # fmt: skip


def _good_champions(moves: list[Move]) -> list[int]:
    """Champions in the order in which each last came, without those that were rolled back from."""
    good: list[int] = []
    for move in moves:
        if move.role != "champion" or move.after is None:
            continue
        if move.action == "rollback" and move.before in good:
            good.remove(move.before)
        if move.after in good:
            good.remove(move.after)
        good.append(move.after)
    return good


def _compare(environment: str, role: str, expected: int | None, present: int | None) -> None:
    if expected != present:
        raise VersionDiffers(
            f"the {role} of {environment} is version {present}, not {expected}: look at it and decide again", present
        )


def _check_environment(environment: str) -> None:
    if environment not in ENVIRONMENTS:
        raise BadParameters(f"an environment is one of {', '.join(ENVIRONMENTS)}, found {environment!r}")


def _check_reason(reason: Reason) -> None:
    if not reason.who.strip() or not reason.why.strip():
        raise BadParameters("a move needs who makes it and why: both are kept with it")
