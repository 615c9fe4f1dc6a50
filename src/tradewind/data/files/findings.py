"""What was understood of a file, and why: decisions with their evidence, and questions that the file leaves open."""

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
class Need:
    """A setting that the file does not determine and that has to be given."""

    setting: str
    why: str


@dataclass
class Notes:
    """The findings and needs of one file, in the order in which they came up."""

    where: str
    findings: list[Finding] = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)

    def found(self, decision: str, value: object, evidence: str) -> None:
        """Add what the file or a setting proves; said twice, it stands there once."""
        self._add(Finding(decision, str(value), evidence))

    def assume(self, decision: str, value: object, evidence: str) -> None:
        """Add what convention says and the file does not contradict."""
        self._add(Finding(decision, str(value), evidence, proven=False))

    def need(self, setting: str, why: str) -> None:
        """Add a question."""
        need = Need(setting, why)
        if need not in self.needs:
            self.needs.append(need)

    def require_settled(self) -> None:
        """Nothing, if no question is open.

        Raises:
            BadData: names every setting that is to be given.
        """
        if self.needs:
            raise BadData(
                f"{self.where} does not determine everything. Give "
                + "; ".join(f"{need.setting} ({need.why})" for need in self.needs)
            )

    def _add(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


def share(part: int, whole: int) -> str:
    """`31 of 32 rows`, with thousands marked."""
    return f"all {whole:,} rows" if part == whole else f"{part:,} of {whole:,} rows"
