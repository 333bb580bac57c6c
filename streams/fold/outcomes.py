"""What became of one upload before it touches any state."""

from dataclasses import dataclass, field

from schemas.cloudevents import Headers
from schemas.dead_letters import Fault
from schemas.results import ModelInfo, ReadWord, ScoredTag, Timings
from schemas.uploads import Record, Upload
from streams.fold.rules.applying import Rules


@dataclass(frozen=True)
class Tagged:
    """The image was fetched, decoded and tagged.

    Attributes:
        url: Where it was fetched from.
        raw: For each add-on, what its tagger said, best first.
        scores: For each add-on, what the rules let be reported of that, best first.
        assigned: The tags that the rules assign, best first, each with the add-ons that it is from.
        rules: The rules' hash.
        models: Of each add-on that was asked for.
        failed: Why each of the other add-ons failed, in short.
        probabilities: For each add-on, the probability of each tag where it is not the confidence.
        phash: The image's perceptual hash; None: it has none.
        thumb: The digest that its small picture lies under; None: there is none.
        embedding: Its embedding; None: likewise.
        words: What each add-on that reads found in it.
        basis: Of a re-tag: source, id and type of the event whose findings it replaces.
    """

    upload: Upload
    url: str
    size: int
    width: int
    height: int
    format: str
    etag: str
    raw: dict[str, list[ScoredTag]]
    scores: dict[str, list[ScoredTag]]
    assigned: dict[str, list[str]]
    rules: str
    models: dict[str, ModelInfo]
    timings: Timings
    failed: dict[str, str] = field(default_factory=dict)
    basis: list[str] | None = None
    probabilities: dict[str, dict[str, float]] = field(default_factory=dict)
    phash: str | None = None
    thumb: str | None = None
    embedding: str | None = None
    words: dict[str, list[ReadWord]] = field(default_factory=dict)

    @property
    def is_from_afar(self) -> bool:
        """Whether the image came over the network."""
        return self.url.partition(":")[0].lower() not in {"data", "file"}

    @property
    def model(self) -> ModelInfo:
        """The model of the first add-on."""
        return next(iter(self.models.values()))


@dataclass(frozen=True)
class Rederived:
    """The image's tags are derived anew from what its taggers said before.

    Attributes:
        rules: Those that hold now.
    """

    upload: Upload
    rules: Rules


@dataclass(frozen=True)
class Stored:
    """The event asks for no add-on: nothing was fetched, and nobody looked.

    Attributes:
        read_at: When the event was read, milliseconds since the epoch.
    """

    upload: Upload
    read_at: int


@dataclass(frozen=True)
class Deleted:
    """The image was withdrawn."""

    upload: Upload


@dataclass(frozen=True)
class Edited:
    """A person changed the image's tags.

    Attributes:
        read_at: When the event was read, milliseconds since the epoch.
    """

    upload: Upload
    read_at: int


@dataclass(frozen=True)
class Ignored:
    """The record is a tombstone: a key and no value, as other programs' compacted topics have them."""

    upload: None = None


@dataclass(frozen=True)
class ForgottenUser:
    """All that was published of a user before the event is to be forgotten.

    Attributes:
        others: The other partitions, which are to know of it.
        keys: Of the rows of images, of retries and of interests that are to go now.
        more: Whether other images are left.
    """

    upload: Upload
    others: tuple[int, ...] = ()
    keys: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]] = ((), (), ())
    more: bool = False


@dataclass(frozen=True)
class Forwarded:
    """The event is about an image of another partition: it came by another partitioner, or under another key.

    Attributes:
        partition: The image's own.
    """

    upload: Upload
    partition: int


@dataclass(frozen=True)
class Deferred:
    """The event cannot be handled yet, as its source was busy: it is tried again later, and nobody waits.

    Attributes:
        at: When it failed, milliseconds since the epoch.
        retry_after: Seconds that the source asked us to wait, if it did.
        upload: The upload that waits; None where it is another event.
    """

    fault: Fault
    at: int
    retry_after: float | None
    upload: Upload | None = None


@dataclass(frozen=True)
class Parked:
    """The event waits for its source while others behind it are done: it is in work, and holds up nobody.

    Attributes:
        at: When it lost its turn, milliseconds since the epoch.
        upload: As in `Deferred`.
    """

    at: int
    upload: Upload | None = None


@dataclass(frozen=True)
class Rejected:
    """The event becomes a dead letter, unless it turns out to be a repeat.

    Attributes:
        upload: What could be read of it.
    """

    fault: Fault
    upload: Upload | None = None


Outcome = (
    Tagged
    | Rederived
    | Stored
    | Deleted
    | Edited
    | Ignored
    | ForgottenUser
    | Forwarded
    | Deferred
    | Parked
    | Rejected
)


@dataclass(frozen=True)
class Output:
    """A record to be sent, in the transaction of the event that caused it.

    Attributes:
        partition: Where to; None: the event's own.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


@dataclass(frozen=True)
class Done:
    """A record of the upload topic with its outcome.

    Attributes:
        over_limit: Whether no more events may wait for busy sources.
        over_hard_limit: Whether this one may not begin to wait, whatever for.
    """

    record: Record
    outcome: Outcome
    over_limit: bool = False
    over_hard_limit: bool = False
