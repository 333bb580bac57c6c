"""What a worker makes of findings at its start: a warning in the log, or its end."""

import logging
from collections.abc import Callable, Iterable

from schemas.errors import KafkaRefusalError, TopicsError
from streams.kafka.checks.cluster import CLOCK, VERSION
from streams.kafka.checks.findings import Finding
from streams.kafka.checks.permissions import PERMISSIONS

log = logging.getLogger(__name__)


def enforce(findings: Iterable[Finding], refusal: Callable[[Finding], Exception]) -> None:
    """Log one line per warning, and refuse to go on where a check fails. Of several that fail all are told.

    A wrong clock is a warning too: it may be the controller's alone, it can be set right while we run, and
    brokers refuse by themselves what they must.

    Raises:
        Exception: What `refusal` makes of the first check that fails.
    """
    faults = []
    for finding in findings:
        if finding.status == "fail" and finding.check != CLOCK:
            faults.append(finding)
        elif finding.status != "ok":
            log.warning("%s", finding.sentence)
    for fault in faults[1:]:
        log.error("%s", fault.sentence)
    if faults:
        raise refusal(faults[0])


def refusal_of_cluster(finding: Finding) -> Exception:
    """What to raise where a check of the cluster fails."""
    kind = KafkaRefusalError if finding.check in {PERMISSIONS, VERSION} else TopicsError
    return kind(finding.sentence)
