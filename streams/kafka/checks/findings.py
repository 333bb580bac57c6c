"""What a check finds: whether something is as it must be, its value, the rule, and the cure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["ok", "warn", "fail"]
_BY_WEIGHT: tuple[Status, ...] = ("fail", "warn", "ok")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What was looked at.
        status: ok; warn: it works, and may cost something; fail: a worker cannot do its work like this.
        value: What was found.
        rule: How it should be, or why it matters.
        cure: What to do; empty only where it is ok.
        refusal: The same in one sentence, where that is not `value: rule; cure`.
    """

    check: str
    status: Status
    value: str
    rule: str
    cure: str = ""
    refusal: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.status != "ok" and not self.cure:
            raise ValueError(f"finding {self.check!r} is {self.status!r}: such a one needs a cure; name it")

    @property
    def sentence(self) -> str:
        """Value, rule and cure in one line of a log."""
        return self.refusal or f"{self.value}: {self.rule}; {self.cure}"

    def as_json(self) -> dict[str, str]:
        """The fields that a program reads."""
        names = ("check", "status", "value", "rule", "cure")
        return {name: getattr(self, name) for name in names}


def worst(findings: Iterable[Finding]) -> Status:
    """The gravest status among these; ok where there are none."""
    found = {finding.status for finding in findings}
    return next((status for status in _BY_WEIGHT if status in found), "ok")
