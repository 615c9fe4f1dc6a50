"""What was detected in a file: decisions with their evidence, and settings that the file does not determine."""

import re
from dataclasses import dataclass, field

from tradewind.errors import BadData


@dataclass(frozen=True)
class Finding:
    """One decision: `proven` by the file or a setting, or else a convention that the file neither shows nor denies."""

    decision: str
    value: str
    evidence: str
    proven: bool = True


@dataclass(frozen=True)
class MissingSetting:
    """A setting that the file does not determine and that has to be given."""

    setting: str
    why: str

    def __post_init__(self) -> None:
        """A setting is one word, NAME=VALUE or NAME=WHAT, since it ends in a command that is pasted."""
        if not re.fullmatch(r"[\w.]+=\S+", self.setting):
            raise ValueError(f"{self.setting!r} is not NAME=VALUE in one word")


@dataclass
class ImportNotes:
    """The findings of one file and the settings that it lacks, in the order in which they came up."""

    where: str
    findings: list[Finding] = field(default_factory=list)
    missing_settings: list[MissingSetting] = field(default_factory=list)

    def add_finding(self, decision: str, value: object, evidence: str) -> None:
        """Add what the file or a setting proves; the same finding is added once.

        Args:
            decision: what was decided, such as "delimiter".
            value: how.
            evidence: what in the file or the settings shows it.
        """
        self._add(Finding(decision, str(value), evidence))

    def assume(self, decision: str, value: object, evidence: str) -> None:
        """Add what convention says and the file does not contradict.

        Args:
            decision: what was decided.
            value: how.
            evidence: the convention, and which setting says otherwise.
        """
        self._add(Finding(decision, str(value), evidence, proven=False))

    def add_missing(self, setting: str, why: str) -> None:
        """Add a setting that has to be given."""
        missing = MissingSetting(setting, why)
        if missing not in self.missing_settings:
            self.missing_settings.append(missing)

    def require_settled(self) -> None:
        """Nothing, if no setting is missing.

        Raises:
            BadData: names every setting that is to be given.
        """
        if self.missing_settings:
            raise BadData(
                f"{self.where} does not determine everything. Give "
                + "; ".join(f"{missing.setting} ({missing.why})" for missing in self.missing_settings)
            )

    def _add(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


def share(part: int, whole: int) -> str:
    """`31 of 32 rows`, with thousands marked."""
    return f"all {whole:,} rows" if part == whole else f"{part:,} of {whole:,} rows"
