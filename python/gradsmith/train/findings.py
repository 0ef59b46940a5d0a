# SPDX-License-Identifier: Apache-2.0
"""What `doctor` returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradsmith.train.tables import table


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or looks wrong.

    Attributes:
        severity: "error" for what cannot be meant, "warning" for what seldom is.
        what: what was seen.
        where: parameter, module or argument.
        fix: what to do.
    """

    severity: str
    what: str
    where: str
    fix: str


@dataclass
class Diagnosis:
    """The findings of `doctor`, errors first in its text."""

    findings: list[Finding] = field(default_factory=list)

    def error(self, what: str, where: str, fix: str) -> None:
        """Add what cannot be meant."""
        self.findings.append(Finding("error", what, where, fix))

    def warn(self, what: str, where: str, fix: str) -> None:
        """Add what is seldom meant."""
        self.findings.append(Finding("warning", what, where, fix))

    @property
    def is_healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def errors(self) -> list[Finding]:
        """The findings that are errors."""
        return [each for each in self.findings if each.severity == "error"]

    def __str__(self) -> str:
        if self.is_healthy:
            return "doctor: nothing found"
        rows = [
            [each.severity, each.where, each.what, each.fix]
            for each in sorted(self.findings, key=lambda each: each.severity)
        ]
        return "\n".join(table(["severity", "where", "what", "fix"], rows, 0))


def listed(names: list[str], most: int = 4) -> str:
    """Return the first names, and how many there are besides."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
