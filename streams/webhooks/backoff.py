"""When a notification that was not taken is sent again, and when it is given up."""

import hashlib
from dataclasses import dataclass

_MOST_DOUBLINGS = 32


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with jitter, inside a budget. All in seconds.

    Attributes:
        first: About how long the first wait is; each next one is twice as long.
        longest: No wait is longer, unless the receiver asks for it.
        budget: The age at which a notification that was not taken is given up. It is tried once in any case.
    """

    first: float = 1.0
    longest: float = 600.0
    budget: float = 21_600.0

    def wait(self, sequence: int, attempt: int) -> float:
        """Seconds to wait after so many failures: half of it fixed, half by the notification's number."""
        whole = min(self.first * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS), self.longest)
        digest = hashlib.sha256(f"{sequence}/{attempt}".encode()).digest()
        return whole * (0.5 + digest[0] / 512)

    def gives_up(self, age: float) -> bool:
        """Whether a notification that has just failed has waited for long enough."""
        return age >= self.budget
