"""Findings made of what a worker would be refused with."""

from streams.kafka.checks.findings import Finding


def refused(check: str, value: str, error: Exception, cure: str) -> Finding:
    """A check that fails.

    Args:
        check: What was looked at.
        value: The setting.
        error: What a worker would end with; what follows its last semicolon is the cure.
        cure: What to do, where the error does not say it like that.
    """
    rule, _, told = str(error).rpartition("; ")
    if not rule or "\n" in str(error):
        rule, told = str(error), cure
    return Finding(check, "fail", value, rule, told, str(error))
