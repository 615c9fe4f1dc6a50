"""What the registry keeps: versions, who has which role where, and every move there ever was."""

from typing import Literal, NamedTuple

from tradewind.errors import TradewindError

Environment = Literal["development", "staging", "production"]
Role = Literal["champion", "canary", "previous"]
ENVIRONMENTS: tuple[Environment, ...] = ("development", "staging", "production")
ROLES: tuple[Role, ...] = ("champion", "canary", "previous")


class VersionDiffers(TradewindError):
    """Somebody else has moved the role meanwhile: look at the present version and decide again."""

    def __init__(self, message: str, present: int | None) -> None:
        super().__init__(message)
        self.present = present


class GateClosed(TradewindError):
    """A version may not enter production: complete its evidence, or override the gate as an operator."""

    def __init__(self, message: str, missing: tuple[str, ...]) -> None:
        super().__init__(message)
        self.missing = missing


class UnknownVersion(TradewindError):
    """There is no such model, version or role: look at the list."""


class Version(NamedTuple):
    """One registered bundle.

    Attributes:
        version: counts from 1 over all models.
        name: of the model, as in the catalogue.
        identity: SHA-256 of the bundle's manifest.
        registered_at: UTC, ISO 8601.
        verdict: of the procedure: go, watch, no-go or none.
        evidence_sha256: of the whole evidence.
    """

    version: int
    name: str
    identity: str
    registered_at: str
    verdict: str
    evidence_sha256: str

    @property
    def label(self) -> str:
        """`lightgbm@17`."""
        return f"{self.name}@{self.version}"


class Roles(NamedTuple):
    """Which version has which role in an environment; None where none has."""

    champion: int | None = None
    canary: int | None = None
    previous: int | None = None


class Move(NamedTuple):
    """One change of a role.

    Attributes:
        seq: its number.
        at: UTC, ISO 8601.
        environment, role: what was moved.
        action: move, rollback or withdraw.
        before, after: versions, None for none.
        who, why: in the operator's words.
        evidence_sha256: of the version that came; empty for none.
        overridden: what the gate missed and an operator let pass, in words; empty for a move that passed it.
    """

    seq: int
    at: str
    environment: str
    role: str
    action: str
    before: int | None
    after: int | None
    who: str
    why: str
    evidence_sha256: str
    overridden: str


class Reason(NamedTuple):
    """Who moves a role, and why; both are kept forever."""

    who: str
    why: str
