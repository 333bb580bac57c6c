"""What finds outcomes and what applies them, put together as the settings say."""

import asyncio
import contextlib
import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model import DEFAULT_ARTIFACT, CombinedTagger, ObjectTagger, SceneTagger, Tagger
from model.embedding.embedder import Embedder
from model.embedding.embedding import Embedding
from model.objects.objects import DETECTOR
from model.parts.combined import Part
from model.text.folder import is_text_folder
from model.text.text_tagger import MEMORY, MILLISECONDS, TextTagger
from schemas.results import ModelInfo
from schemas.streams.records import TAG_COUNTS
from schemas.topics import TopicNames
from streams.app.settings import Settings
from streams.app.telemetry import WorkerTelemetry
from streams.fetch.addresses import AddressPolicy
from streams.fetch.circuit_breakers import CircuitBreakers
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fetch.object_store import ObjectStore
from streams.fetch.roots import SourceRoots
from streams.fetch.wire.request_headers import RequestHeaders
from streams.fold.budgets.limits import Budgets
from streams.fold.fold import FoldRules
from streams.fold.retention import Retention
from streams.fold.retries import RetryPolicy
from streams.fold.rules.applying import Rules
from streams.kafka.connection import KafkaConnection
from streams.kafka.partition_log import PartitionLog
from streams.kafka.partitioning import partition_for
from streams.state.partition import PartitionState
from streams.tag import stub as stub_tagger
from streams.tag.categorizer import Categorizer, Offer
from streams.tag.looking import Looker
from streams.tag.meter import InferenceMeter
from streams.tag.pool import Price, TaggerPool
from streams.tag.remote.client import RemoteAddOn
from streams.tag.remote.description import is_remote
from streams.tag.remote.pool import RemotePool
from streams.tag.rules_watch import RulesWatch
from streams.tag.stub import StubTagger
from streams.tag.thumbnails.keeper import ThumbnailKeeper
from streams.units.ledger import Ledger
from streams.units.unit import Unit
from streams.units.work import Pace, Work

SCENES = "scene_tagging"  # the add-on whose tags are scenes, where it names no model of its own
OBJECTS = "object_tagging"  # likewise, whose tags are persons and vehicles

_BACKLOG_INTERVAL = 1.0  # seconds between two transactions, however long uploads queue
_READING = Price(MILLISECONDS, MEMORY)
_AddOn = Tagger | SceneTagger | ObjectTagger | CombinedTagger | TextTagger

log = logging.getLogger(__name__)


async def open_categorizer(
    settings: Settings, stack: contextlib.AsyncExitStack, telemetry: WorkerTelemetry | None = None
) -> tuple[Categorizer, "Taggers"]:
    """Start all that finds outcomes; the stack ends it, and metrics tell how it is doing.

    Raises:
        ManifestError: A model folder cannot be used.
        SettingsError: The allowed sources, their headers, the roots or the rules cannot be read.
    """
    limits = fetch_limits(settings)
    policy = AddressPolicy.parse(settings.allow_sources)
    roots = SourceRoots.parse(settings.source_roots)
    headers = RequestHeaders.read(settings.source_headers, os.environ)
    objects = ObjectStore.parse(settings.object_store, settings.data_dir)
    fetcher = await stack.enter_async_context(Fetcher(policy, limits, roots, objects, headers))
    if telemetry is not None:
        telemetry.read_fetcher(fetcher)
    taggers = await open_taggers(settings, stack, telemetry)
    partition_of = functools.partial(partition_for, partitions=settings.partitions)
    categorizer = Categorizer(
        fetcher,
        ThumbnailKeeper(taggers.pool, objects) if settings.thumbnails else taggers.pool,
        taggers.offer,
        taggers.rules_now,
        partition_of,
        missing_for=settings.fetch_missing_for,
        partitions=settings.partitions,
    )
    return categorizer, replace(taggers, circuits=fetcher.circuit_breakers)


@dataclass(frozen=True)
class Taggers:
    """What looks at images, and what is made of what it says.

    Attributes:
        circuits: Those of the hosts that images are fetched from; None: none are.
    """

    pool: TaggerPool | StubTagger
    offer: Offer
    rules: RulesWatch
    circuits: CircuitBreakers | None = None

    def rules_now(self) -> Rules:
        """The rules that hold now."""
        return self.rules.current

    @property
    def looker(self) -> Looker:
        """Looks at images that are no event, by the same rules."""
        known = {name: tags for name, tags in self.pool.tag_names.items() if tags}
        return Looker(self.pool, self.offer, self.rules_now, known)


async def open_taggers(
    settings: Settings, stack: contextlib.AsyncExitStack, telemetry: WorkerTelemetry | None = None
) -> Taggers:
    """Load the models, start the threads that run them and follow the rules; the stack ends it.

    Raises:
        ManifestError: A model folder cannot be used.
        SettingsError: The rules cannot be read.
    """
    meter = telemetry.inferences if telemetry else None
    pool, models = await asyncio.to_thread(build_tagger, settings, meter)
    pool.start()
    if telemetry is not None:
        telemetry.read_models(models)
        telemetry.read_pool(pool)
    stack.callback(pool.stop)
    if isinstance(pool, RemotePool):
        stack.push_async_callback(pool.aclose)
    watch = await asyncio.to_thread(RulesWatch, settings.rules, settings.auto_tagging, pool.tag_names)
    rules = stack.enter_context(watch)
    offer = Offer(models, settings.default_add_ons, readers_of(settings), settings.text_tags)
    return Taggers(pool, offer, rules)


def readers_of(settings: Settings) -> frozenset[str]:
    """The add-ons that read words."""
    return frozenset(name for name, folder in settings.model_folders.items() if is_text_folder(folder))


def fetch_limits(settings: Settings) -> FetchLimits:
    """The bounds of every fetch."""
    return FetchLimits(
        max_bytes=settings.max_image_bytes,
        max_bytes_in_flight=settings.max_bytes_in_flight,
        deadline=settings.fetch_timeout,
        answer=settings.fetch_answer_timeout,
        concurrency=settings.fetch_concurrency,
        per_host=settings.fetch_per_host,
        max_redirects=settings.fetch_redirects,
    )


def unit_maker(
    settings: Settings, connection: KafkaConnection, names: TopicNames, work: Work
) -> Callable[[PartitionState], Unit]:
    """What makes the unit of a partition whose state we have."""
    pace = Pace(
        max_in_flight=settings.max_in_flight,
        max_transaction=settings.max_transaction,
        commit_interval=settings.commit_interval,
        backlog_interval=_BACKLOG_INTERVAL,
        max_retries=settings.max_retries,
    )

    def new_unit(state: PartitionState) -> Unit:
        return Unit(
            state.partition,
            lambda: PartitionLog(connection, names.upload_log, state.partition),
            Ledger(
                connection,
                names,
                state,
                work.meter,
                accepted=settings.uploads_topic_id,
                headers=work.headers,
            ),
            work,
            pace,
        )

    return new_unit


def fold_rules_of(settings: Settings) -> FoldRules:
    """What the fold depends on besides the events."""
    retries = RetryPolicy(
        settings.retry_first, settings.retry_longest, settings.retry_budget, settings.retry_budget_crowded
    )
    names = TopicNames.of(settings)
    gather = TAG_COUNTS not in names.streams
    return FoldRules(names, Retention.of(settings), retries, Budgets.of(settings), gather=gather)


def build_tagger(
    settings: Settings, meter: InferenceMeter | None = None
) -> tuple[TaggerPool | StubTagger, dict[str, ModelInfo]]:
    """Load each add-on's model, once per folder; return what tags, and the model behind each add-on.

    Raises:
        ManifestError: A model folder cannot be used.
    """
    if settings.tagger == "stub":
        log.warning("tags come from the stub tagger: this worker is for load and chaos tests only")
        stub = ModelInfo(stub_tagger.NAME, stub_tagger.VERSION)
        return StubTagger(), dict.fromkeys(settings.model_folders, stub)
    add_ons, embeds = _load_here(settings)
    remotes = {
        name: RemoteAddOn.load(place, os.environ)
        for name, place in settings.model_folders.items()
        if place is not None and is_remote(place)
    }
    all_of_them = add_ons | remotes
    models = {
        name: ModelInfo(all_of_them[name].name, all_of_them[name].version) for name in settings.model_folders
    }
    _tell_offer(models, remotes)
    pool = RemotePool(
        add_ons,
        remotes,
        threads=settings.worker_threads,
        max_batch=settings.max_batch,
        known_images=settings.known_images,
        room=settings.max_bytes_in_flight // 4,  # less than a host may hold: fetches go on
        meter=meter,
        formats=settings.decoded_formats,
        thumbnails=settings.thumbnails,
        prices={name: _READING for name, add_on in add_ons.items() if isinstance(add_on, TextTagger)},
        embeds=embeds,
    )
    return pool, models


def _load_here(settings: Settings) -> tuple[dict[str, _AddOn], Embedding | None]:
    """Each add-on of this machine, and what makes embeddings."""
    embedder = Embedder() if settings.embeddings else None
    places = {name: place for name, place in settings.model_folders.items() if not is_remote(place)}
    classifying = [place for place in dict.fromkeys(places.values()) if not is_text_folder(place)]
    models = dict(zip(classifying, _load(classifying, settings, embedder), strict=True))
    readers = {place: TextTagger.load(place) for place in places.values() if place and place not in models}
    built_in = _BuiltIn(models[None], settings) if None in models else None

    def add_on(name: str, place: Path | None) -> _AddOn:
        if built_in and place is None:
            return built_in.add_on(name)
        return readers[place] if place in readers else models[place]

    embeds = Embedding(models[None], embedder) if embedder and None in models else None
    return {name: add_on(name, place) for name, place in places.items()}, embeds


def _tell_offer(models: Mapping[str, ModelInfo], remotes: Mapping[str, RemoteAddOn]) -> None:
    here = [f"{name} ({model.name} {model.version})" for name, model in models.items() if name not in remotes]
    if not remotes:
        log.info("add-ons, all on this machine; none asks Imagga or anybody else: %s", ", ".join(here))
        return
    there = ", ".join(f"{name} at {remote.url}" for name, remote in remotes.items())
    log.info("add-ons on this machine: %s", ", ".join(here) or "none")
    log.warning("images are sent to other servers, for the add-ons %s", there)


class _BuiltIn:
    """What comes along, each piece made when the first add-on needs it, and once."""

    def __init__(self, classifier: Tagger, settings: Settings) -> None:
        self._classifier = classifier
        self._settings = settings

    def add_on(self, name: str) -> Tagger | SceneTagger | ObjectTagger | CombinedTagger:
        """What stands behind a name: scenes or objects alone, else all that the settings name."""
        if name == SCENES:
            return self._scenes
        return self._objects if name == OBJECTS else self._combined

    @functools.cached_property
    def _scenes(self) -> SceneTagger:
        return SceneTagger(self._classifier)

    @functools.cached_property
    def _objects(self) -> ObjectTagger:
        detector = Tagger.load(
            DETECTOR,
            intra_op_threads=self._settings.intra_op_threads,
            providers=self._settings.execution_providers,
            late=True,
        )
        return ObjectTagger(detector, self._classifier)

    @functools.cached_property
    def _combined(self) -> Tagger | CombinedTagger:
        parts = self._settings.chosen_parts
        if parts == {Part.CLASSIFIER}:
            return self._classifier
        return CombinedTagger(
            self._classifier,
            self._objects if Part.OBJECTS in parts else None,
            self._scenes if Part.SCENES in parts else None,
        )


def _load(folders: Sequence[Path | None], settings: Settings, embedder: Embedder | None) -> list[Tagger]:
    return Tagger.load_all(
        [folder or DEFAULT_ARTIFACT for folder in folders],
        decrease_parents=settings.decrease_parents,
        intra_op_threads=settings.intra_op_threads,
        providers=settings.execution_providers,
        warm_up=(1, settings.max_batch),
        inner={DEFAULT_ARTIFACT: embedder.width} if embedder else None,
    )
