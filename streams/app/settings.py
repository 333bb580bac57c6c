"""Settings: one frozen object, read once from a mapping that is passed in.

Every setting is an environment variable `TAGSTREAM_<NAME>` and a flag `--<name>` of the worker.
"""

import os
import socket
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from schemas.errors import SettingsError
from schemas.sources.mapping import TopicMapping, read_sources
from schemas.streams.records import STREAMS, TAG_COUNTS
from schemas.topics import TOMBSTONES_KEPT_DAYS, TopicNames, uploads_topics_fault
from streams.app.cores import available_cores
from streams.app.profiles import read_profile
from streams.app.roles import DEFAULT, Role, read_roles, roles_fault
from streams.rises.windows import WINDOWS
from streams.tag.add_ons import (
    DEFAULT_CHOICE,
    DEFAULT_OFFER,
    DEFAULT_PARTS,
    chosen,
    misfit,
    model_folders,
    offer_fault,
    parts_fault,
)

PREFIX = "TAGSTREAM_"
IMAGE_FORMATS = ("jpg", "png", "webp", "gif", "bmp", "tiff", "avif", "heic")
LAST_PORT = 65_535
MOST_REDIRECTS = 20
_KINDS = {int: "a whole number such as 4", float: "a number such as 0.5", Path: "a path"}
_DATA_DIR = Path(".tagstream")
_GONE = {"QUERIES": "say TAGSTREAM_ROLES=tag for a process that answers no questions, else leave it out"}


def _setting(default: Any, description: str, check: Callable[[Any], str | None] | None = None) -> Any:  # noqa: ANN401 - as dataclasses.field
    return field(default=default, metadata={"help": description, "check": check})


def _at_least(least: float) -> Callable[[Any], str | None]:
    return lambda value: None if value >= least else f"must be at least {least}"


def _kept_for(least: float, reason: str) -> Callable[[Any], str | None]:
    return lambda days: None if days >= least else f"must be at least {least:g}: {reason}"


def _port(value: int) -> str | None:
    return None if 0 <= value <= LAST_PORT else f"must lie between 0 and {LAST_PORT}"


def _port_or_none(value: int | None) -> str | None:
    return None if value in {None, -1} else _port(value or 0)


def _tagger(value: str) -> str | None:
    return None if value in {"onnx", "stub"} else "must be onnx or stub"


def _fraction(value: float | None) -> str | None:
    return None if value is None or 0 <= value <= 1 else "must lie between 0 and 1"


def _formats_fault(value: str) -> str | None:
    names = chosen(value)
    unknown = [name for name in names if name not in IMAGE_FORMATS]
    if names and not unknown:
        return None
    fault = f"names {unknown[0]!r}, which is no format that is decoded" if unknown else "names no format"
    return f"{fault}; choose of {', '.join(IMAGE_FORMATS)}"


def _streams_fault(value: str) -> str | None:
    unknown = [name for name in chosen(value) if name not in STREAMS]
    return f"names {unknown[0]!r}, which is no stream; choose of {', '.join(STREAMS)}" if unknown else None


def _registry_fault(value: str) -> str | None:
    if not value:
        return None
    try:
        url = urlsplit(value)
        is_url = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        return "must be a URL such as http://registry:8081"
    return (
        "must not hold a password; set SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD"
        if "@" in value
        else None
    )


@dataclass(frozen=True)
class Settings:
    """What an operator decides. Sizes are in bytes, times in seconds."""

    app_id: str = _setting("tagstream", "Name of the consumer group, and prefix of the state topics.")
    instance_id: str = _setting("", "Name of this worker, unique in its group. Empty: host name and port.")
    roles: str = _setting(
        DEFAULT,
        "What this process does, separated by commas: "
        + "; ".join(f"{role} {role.meaning}" for role in Role)
        + ".",
        roles_fault,
    )
    topic_prefix: str = _setting("", "Put before the name of each event topic.")
    uploads_topics: str = _setting(
        "",
        "Topics that upload events are read from, by their full names, separated by commas; each may have "
        "any number of partitions. Events reach the state by way of a topic of the application. Empty: "
        "image.uploads alone, read as it is, with as many partitions as the state.",
        uploads_topics_fault,
    )
    sources: Path | None = _setting(
        None,
        "File (TOML) that says which topics hold events of other programs (buckets, databases, Connect), "
        "and how they are read. Their events reach the state as uploads do. Empty: there are none.",
    )
    streams: str = _setting(
        "",
        "Streams of what changed that are written beside results, in the same transactions, separated by "
        f"commas: {', '.join(STREAMS)}. One that is turned on is filled with what there is. Empty: none.",
        _streams_fault,
    )
    trends_window: str = _setting(
        "1h",
        "What the role trends counts: 1h, each minute against the day before, or 24h, each hour "
        "against the week before.",
        lambda value: None if value in WINDOWS else f"must be {' or '.join(WINDOWS)}",
    )
    watchlists: Path | None = _setting(
        None,
        "File (TOML) that says of which tags a tenant is told by the role trends, and from which score on. "
        "Empty: of all tags.",
    )
    schema_registry: str = _setting(
        "",
        "URL of a schema registry in which the schemas of records are registered; each record then names its "
        "own in a header. Name and password: SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD. Empty: "
        "none.",
        _registry_fault,
    )
    uploads_topic_id: str = _setting(
        "",
        "Kafka's id of an upload topic that stands in for the one that was read before: a copy with the same "
        "offsets. Empty: none does.",
    )
    partitions: int = _setting(
        4,
        "Partitions of the state, and of topics that are created; `tagstream rescale` adds some.",
        _at_least(1),
    )
    replication: int = _setting(1, "Replicas of topics that are created.", _at_least(1))
    add_ons: str = _setting(
        DEFAULT_OFFER,
        "Add-ons offered: NAME, NAME=FOLDER of a model or NAME=FILE.toml of one on a server, with commas.",
        offer_fault,
    )
    tagger: str = _setting(
        "onnx", "onnx, or stub: tags are read from the bytes, for load and chaos tests.", _tagger
    )
    categorization: str = _setting(
        DEFAULT_CHOICE,
        "Add-ons that run where an event names none, separated by commas. imagga_tagging is named after the "
        "add-on whose form its results have: the model is local, nothing is sent to Imagga.",
    )
    parts: str = _setting(
        DEFAULT_PARTS,
        "What the default add-on is made of, separated by commas: the classifier for things, objects for "
        "persons and vehicles, scenes. What is left out costs nothing.",
        parts_fault,
    )
    embeddings: bool = _setting(
        True,
        "Whether results and rows hold embeddings, and query workers keep them: /images/{public_id}/similar "
        "answers from them. An image has one where an add-on looks at it that has the default classifier.",
    )
    text_tags: bool = _setting(
        False,
        "Whether words that an add-on reads in images may become tags, in lower case, by threshold and rules "
        "as others do. Otherwise results tell them beside the tags.",
    )
    auto_tagging: float | None = _setting(
        None, "Threshold where neither event nor rules name one. Empty: assign nothing.", _fraction
    )
    decrease_parents: float | None = _setting(
        None, "How much general tags are discounted, 0 to 1. Empty: as each model says.", _fraction
    )
    rules: Path | None = _setting(None, "File of the rules for tags. Empty: there are none.")
    threads: int = _setting(
        0,
        "Threads that decode and infer. 0: one per core that the worker may use.",
        _at_least(0),
    )
    formats: str = _setting(
        ", ".join(IMAGE_FORMATS),
        "Image formats that are decoded, separated by commas; of the others nothing is parsed, and they are "
        "dead letters (unsupported_format). heic needs the extra `heif`.",
        _formats_fault,
    )
    max_batch: int = _setting(8, "Most images in one inference.", _at_least(1))
    intra_op_threads: int = _setting(1, "Threads inside one inference.", _at_least(1))
    providers: str = _setting(
        "CPUExecutionProvider",
        "ONNX Runtime's execution providers, the preferred one first, separated by commas.",
    )
    profile: Path | None = _setting(
        None, "File that `tagstream bench-model --write` wrote; its settings count where none is given."
    )
    known_images: int = _setting(
        4096,
        "Most images whose tags are remembered: a copy of their bytes is not inferred again.",
        _at_least(0),
    )
    fetch_concurrency: int = _setting(
        32,
        "Most fetches at once. Those that take long have other places, three times as many. One of several "
        "tenants has four fifths of either at most.",
        _at_least(1),
    )
    fetch_per_host: int = _setting(
        8,
        "Most fetches at once from one host. Those that others overtake have other places, three times as "
        "many.",
        _at_least(1),
    )
    fetch_redirects: int = _setting(
        3,
        "Most redirects that one fetch follows, 0 to 20.",
        lambda value: None if 0 <= value <= MOST_REDIRECTS else f"must lie between 0 and {MOST_REDIRECTS}",
    )
    fetch_missing_for: float = _setting(
        5.0,
        "Time from an upload's publication in which status 404 means that its image is not there yet: it is "
        "asked for again. 0: it means that there is none.",
        _at_least(0),
    )
    fetch_timeout: float = _setting(20.0, "Deadline of one fetch, redirects included.", _at_least(0.1))
    fetch_answer_timeout: float = _setting(
        10.0, "Time in which a source must begin to answer.", _at_least(0.1)
    )
    retry_first: float = _setting(
        1.0,
        "About the wait before a busy source is asked again; each next one is twice as long.",
        _at_least(0),
    )
    retry_longest: float = _setting(60.0, "Longest wait between two attempts.", _at_least(0))
    retry_budget: float = _setting(
        86_400.0, "Time after which an upload from a busy source is given up: a dead letter.", _at_least(0)
    )
    retry_budget_crowded: float = _setting(
        900.0, "The same while TAGSTREAM_MAX_RETRIES wait and others get through.", _at_least(0)
    )
    max_retries: int = _setting(
        1000,
        "Most uploads per partition that wait for a retry. Beyond, what fails is given up if others get "
        "through; intake is slow if none does, or while as many are in work at slow hosts.",
        _at_least(1),
    )
    max_image_bytes: int = _setting(30_000_000, "Largest image that is fetched.", _at_least(1))
    max_bytes_in_flight: int = _setting(
        128_000_000,
        "Most bytes of images in memory; fetches wait beyond. At least two of the largest. One of several "
        "tenants has four fifths at most.",
        _at_least(2),
    )
    allow_sources: str = _setting(
        "", "Private sources that events may name: HOST, HOST:PORT or NETWORK, separated by commas."
    )
    source_roots: str = _setting(
        "",
        "Folders (file:///FOLDER) and buckets (s3://BUCKET=https://BASE, or s3://BUCKET with credentials of "
        "the environment) that events may name, by commas.",
    )
    source_headers: Path | None = _setting(
        None, "File (TOML) of headers that requests to sources have, by host. Empty: there are none."
    )
    object_store: str = _setting(
        "",
        "Where gateways keep bytes, the same for gateways and workers: a folder, s3://BUCKET/PREFIX, "
        "gs://BUCKET/PREFIX or az://CONTAINER/PREFIX, with credentials from the environment. "
        "Empty: `objects` in the data directory.",
    )
    thumbnails: bool = _setting(
        False,
        "Whether a small picture of each image that is tagged is kept in the object store, for the page: "
        "WebP of 256 pixels, some 7 kB each.",
    )
    page_fetches: bool = _setting(
        True,
        "Whether the page shows images large that lie elsewhere: its worker fetches them when somebody "
        "looks, within the limits of uploads. Otherwise the small picture is shown.",
    )
    allow_webhooks: str = _setting(
        "", "Private receivers of notifications: HOST, HOST:PORT or NETWORK, separated by commas."
    )
    webhook_timeout: float = _setting(
        10.0, "Time in which a receiver must take a notification.", _at_least(0.1)
    )
    webhook_concurrency: int = _setting(64, "Most notifications under way at once.", _at_least(1))
    webhook_backlog: int = _setting(
        10_000,
        "Most notifications per partition that wait for one receiver; beyond, new ones are dead letters.",
        _at_least(1),
    )
    webhook_retry_first: float = _setting(
        1.0,
        "About the wait before a notification is sent again; each next one is twice as long.",
        _at_least(0),
    )
    webhook_retry_longest: float = _setting(600.0, "Longest wait between two of these.", _at_least(0))
    webhook_budget: float = _setting(
        21_600.0, "Time after which a notification that no receiver takes is a dead letter.", _at_least(0)
    )
    commit_interval: float = _setting(
        0.03,
        "Time between two transactions of a partition under load; a lone upload never waits.",
        _at_least(0),
    )
    keep_minutes: float = _setting(
        1.0,
        "Days that counts by minute are kept. At least 0.125.",
        _kept_for(0.125, "the window 1h and the one before it are counted by the minute"),
    )
    keep_hours: float = _setting(
        31.0,
        "Days that counts by hour are kept. At least 14.",
        _kept_for(14, "the window 7d and the one before it are counted by the hour"),
    )
    keep_days: float = _setting(
        800.0,
        "Days that counts by day are kept. At least 60.",
        _kept_for(60, "the window 30d and the one before it are counted by the day"),
    )
    keep_interests: float = _setting(365.0, "Days that users' interests are kept.", _at_least(0))
    keep_deleted: float = _setting(
        30.0,
        "Days that deleted images are remembered, so that late events do not bring them back.",
        _at_least(0),
    )
    keep_tombstones: float = _setting(
        TOMBSTONES_KEPT_DAYS,
        "Days that state topics keep the mark of a removed row, at least (`delete.retention.ms`). "
        "State older than four fifths of that, in memory or in a snapshot, is read anew.",
        _at_least(0.0001),
    )
    max_tenants: int = _setting(
        1000, "Most tenants with images, of each partition. 0: no limit, as below.", _at_least(0)
    )
    tenant_images: int = _setting(0, "Most images of a tenant, of each partition.", _at_least(0))
    tenant_tags: int = _setting(
        25_000, "Most different tags that a tenant's images have, of each partition.", _at_least(0)
    )
    tenant_daily_bytes: int = _setting(
        0, "Most bytes of a tenant's events in a day of Kafka's clock, of each partition.", _at_least(0)
    )
    image_tags: int = _setting(
        0, "Most tags of one image, whoever gave them; an event brings 1,000 at most.", _at_least(0)
    )
    half_life: float = _setting(14.0, "Days in which an interest loses half of its weight.", _at_least(0.01))
    snapshot_interval: float = _setting(
        600.0, "Time between two snapshots of the state in the data directory. 0: none.", _at_least(0)
    )
    check_interval: float = _setting(
        300.0,
        "Time between two runs of the checks of `tagstream doctor`, for metrics; models apart. 0: none.",
        _at_least(0),
    )
    max_in_flight: int = _setting(64, "Most events in work per partition.", _at_least(1))
    max_transaction: int = _setting(100, "Most events in one transaction.", _at_least(1))
    web_host: str = _setting("127.0.0.1", "Address that the query API listens on.")
    web_port: int = _setting(6066, "Port that the query API listens on. 0: any free one.", _port)
    web_names: str = _setting(
        "", "Host names under which it may be asked besides localhost, separated by commas."
    )
    tokens: Path | None = _setting(
        None, "File of the tokens that may ask; `tagstream token new` makes one. Empty: none is needed."
    )
    open_api: bool = _setting(
        False, "Whether anybody may ask, without a token, on an address that others reach."
    )
    open_page: bool = _setting(
        False,
        "Whether whoever may ask without a token may upload and edit by the page, on such an address: for "
        "a container whose port is published to its own machine alone.",
    )
    rate_limit: float = _setting(
        200.0, "Questions per second of one token, or of one address. 0: no limit.", _at_least(0)
    )
    rate_burst: int = _setting(1000, "Questions that may come at once within that.", _at_least(1))
    max_queries: int = _setting(
        8,
        "Most questions in work; four times as many wait, others are told to come back. A token has half.",
        _at_least(1),
    )
    query_timeout: float = _setting(10.0, "Time after which a question is given up.", _at_least(0.1))
    query_share: float = _setting(
        0.25,
        "Seconds of CPU time per second that the questions of one token may take; what is beyond waits. "
        "0: no limit.",
        _at_least(0),
    )
    gateway_host: str = _setting("127.0.0.1", "Address that the gateway listens on.")
    gateway_port: int = _setting(6069, "Port that the gateway listens on. 0: any free one.", _port)
    gateway_url: str = _setting(
        "", "Where clients reach the gateways, for addresses in answers. Empty: by the host and port above."
    )
    imagga_api: bool = _setting(
        True, "Whether gateways answer Imagga's API; one without the role tag loads the models for it."
    )
    credentials: Path | None = _setting(
        None,
        "File of the clouds and keys. Empty: `gateway.toml` in the data directory, made for the cloud "
        "demo if it is not there.",
    )
    max_upload_bytes: int = _setting(
        500_000_000, "Largest file that the gateway takes; of images TAGSTREAM_MAX_IMAGE_BYTES.", _at_least(1)
    )
    sweep_after: float = _setting(
        3600.0,
        "Time after which a gateway removes bytes that no asset names: of calls that were cut off, and those "
        "that others replaced.",
        _at_least(60),
    )
    metrics_host: str = _setting(
        "127.0.0.1", "Address on which Prometheus finds /metrics; it needs no token."
    )
    metrics_port: int | None = _setting(
        9646,
        "Port of /metrics. 0: any free one. Empty or -1: no metrics. Where it is taken, a warning, and none.",
        _port_or_none,
    )
    loop_limit: float = _setting(
        0.0,
        "For tests: seconds of CPU time for which the event loop may be held at once; beyond, the process "
        "ends with 70 and says what held it. 0: no limit.",
        _at_least(0),
    )
    data_dir: Path = _setting(_DATA_DIR, "Directory of this worker's own files.")
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR.")
    log_format: str = _setting("auto", "console, json, or auto: console on a terminal, json elsewhere.")

    def __post_init__(self) -> None:
        for item in fields(self):
            check = item.metadata["check"]
            fault = check(getattr(self, item.name)) if check else None
            if fault:
                raise SettingsError(f"{self._said(item.name)} {fault}")
        fault = misfit(self.add_ons, self.categorization) or self._topics_fault()
        fault = fault or self._bytes_fault() or self._keeping_fault() or self._trends_fault()
        if fault:
            raise SettingsError(fault)

    def _topics_fault(self) -> str | None:
        names = TopicNames.of(self)
        both = sorted(names.written & set(names.inputs))
        rule = "is written by workers: none of what they make is an upload event; name other topics"
        if both:
            return f"{self._said('uploads_topics')}: topic {both[0]} {rule}"
        taken = sorted({*names.written, *names.uploads_topics} & set(names.sources))
        rule = "is one of upload events, or of what workers write; name another in it"
        return f"{self._said('sources')}: topic {taken[0]} {rule}" if taken else None

    def _trends_fault(self) -> str | None:
        if not self.judges_trends or TAG_COUNTS in self.told_streams:
            return None
        cure = f"add {TAG_COUNTS} to it, for this process and those with the role tag"
        return f"{self._said('roles')} with {self._said('streams')}: trends are told by {TAG_COUNTS}; {cure}"

    @cached_property
    def mappings(self) -> Mapping[str, TopicMapping]:
        """How the topics of sources are read, by topic."""
        return {} if self.sources is None else read_sources(self.sources).topics

    @property
    def told_streams(self) -> tuple[str, ...]:
        """The streams of what changed that are on."""
        return tuple(chosen(self.streams))

    @property
    def source_topics(self) -> tuple[str, ...]:
        """The topics of sources."""
        return tuple(self.mappings)

    def _bytes_fault(self) -> str | None:
        if self.max_bytes_in_flight >= 2 * self.max_image_bytes:
            return None
        given = f"{self._said('max_image_bytes')} with {self._said('max_bytes_in_flight')}"
        rule = "two of the largest images must have room"
        most, least = self.max_bytes_in_flight // 2, 2 * self.max_image_bytes
        return f"{given}: {rule}; lower the first to {most}, or raise the second to {least}"

    def _keeping_fault(self) -> str | None:
        if self.keep_minutes <= self.keep_hours <= self.keep_days:
            return None
        given = ", ".join(map(self._said, ("keep_minutes", "keep_hours", "keep_days")))
        rule = "must not shrink: a day's count stands in for its hours and minutes"
        return f"{given} {rule}; raise the later ones, or lower the first"

    def _said(self, name: str) -> str:
        return f"{variable(name)}={getattr(self, name)!r}"

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str], **overrides: object) -> "Settings":
        """Read the settings from `mapping`, such as `os.environ`; `overrides` win where not None.

        Raises:
            SettingsError: A value does not fit its setting.
        """
        profile = overrides.get("profile") or mapping.get(variable("profile"))
        if not profile:
            return cls._read(mapping, overrides)
        found = read_profile(Path(str(profile)), frozenset(variable(item.name) for item in fields(cls)))
        try:
            return cls._read({**found, **mapping}, overrides)
        except SettingsError as error:
            theirs = [name for name in found.keys() - mapping.keys() if f"{name}=" in str(error)]
            where = f" ({', '.join(sorted(theirs))}: said in {profile})" if theirs else ""
            raise SettingsError(f"{error}{where}") from None

    @classmethod
    def _read(cls, mapping: Mapping[str, str], overrides: Mapping[str, object]) -> "Settings":
        for name, cure in _GONE.items():
            if given := mapping.get(PREFIX + name):
                raise SettingsError(f"{PREFIX}{name}={given!r}: there is no such setting any more; {cure}")
        kinds = typing.get_type_hints(cls)
        values: dict[str, Any] = {
            name: _convert(name, kinds[name], mapping[variable(name)])
            for name in kinds
            if variable(name) in mapping
        }
        values.update({name: value for name, value in overrides.items() if value is not None})
        return cls(**values)

    @property
    def model_folders(self) -> dict[str, Path | None]:
        """Each add-on's model folder; None stands for the default model."""
        return model_folders(self.add_ons)

    @property
    def chosen_roles(self) -> frozenset[Role]:
        """What this process does."""
        return read_roles(self.roles)

    @property
    def tags(self) -> bool:
        """Whether this process tags uploads."""
        return Role.TAG in self.chosen_roles

    @property
    def tells(self) -> bool:
        """Whether this process tells receivers what was committed."""
        return Role.WEBHOOKS in self.chosen_roles

    @property
    def judges_trends(self) -> bool:
        """Whether this process tells which tags rise."""
        return Role.TRENDS in self.chosen_roles

    @property
    def answers(self) -> bool:
        """Whether this process answers questions about the state."""
        return Role.QUERY in self.chosen_roles

    @property
    def is_page(self) -> bool:
        """Whether this process serves the page for people."""
        return Role.PAGE in self.chosen_roles

    @property
    def is_gateway(self) -> bool:
        """Whether this process takes calls of Cloudinary's and Imagga's clients."""
        return Role.GATEWAY in self.chosen_roles

    @property
    def credentials_file(self) -> Path:
        """Where the gateway's keys are."""
        return self.credentials or self.data_dir / "gateway.toml"

    @property
    def snapshot_dir(self) -> Path:
        """Where snapshots of the state are: a gateway may share its data directory with a worker."""
        alone = self.is_gateway and not (self.tags or self.answers)
        return self.data_dir / (f"gateway-{self.gateway_port}" if alone else "state")

    @property
    def execution_providers(self) -> list[str]:
        """ONNX Runtime's execution providers, the preferred one first."""
        return [name.strip() for name in self.providers.split(",") if name.strip()]

    @property
    def chosen_parts(self) -> frozenset[str]:
        """What the default add-on is made of."""
        return frozenset(chosen(self.parts))

    @property
    def default_add_ons(self) -> tuple[str, ...]:
        """The add-ons that run where an event names none."""
        return chosen(self.categorization)

    @property
    def decoded_formats(self) -> frozenset[str]:
        """The image formats that may be decoded."""
        return frozenset(chosen(self.formats))

    @property
    def worker_threads(self) -> int:
        """The number of threads that decode and infer."""
        return self.threads or available_cores()

    @property
    def tells_metrics(self) -> bool:
        """Whether there are metrics."""
        return self.metrics_port not in {None, -1}

    @property
    def group_instance_id(self) -> str:
        """The name under which this worker is a static member of its group."""
        return self.instance_id or f"{socket.gethostname()}-{self.web_port or os.getpid()}"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def kind_of(name: str) -> type:
    """The type of a setting's value, None left out."""
    kind = typing.get_type_hints(Settings)[name]
    if isinstance(kind, types.UnionType):
        kind = next(option for option in typing.get_args(kind) if option is not type(None))
    return typing.cast("type", kind)


def _convert(name: str, kind: object, text: str) -> object:
    if text == "" and isinstance(kind, types.UnionType):
        return None
    target = kind_of(name)
    if target is bool:
        return _flag(name, text)
    try:
        return target(text)
    except ValueError:
        raise SettingsError(f"{variable(name)}={text!r}: say {_KINDS[target]}") from None


def _flag(name: str, text: str) -> bool:
    known = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in known:
        raise SettingsError(f"{variable(name)}={text!r}: say true or false")
    return known[text.lower()]
