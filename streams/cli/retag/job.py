"""A re-tag from plan to report, for real or as a dry run."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from schemas.results import ModelInfo
from schemas.topics import TopicNames
from streams.app.assembly import build_tagger, fold_rules_of, open_categorizer
from streams.app.settings import Settings
from streams.cli.retag.differences import TagDifferences
from streams.cli.retag.dry_run import Compute, DryRun, with_rules
from streams.cli.retag.plan import Fate, Mode, Selection, choose, image_rows, partitions_of
from streams.cli.retag.run import Pace, RetagRun
from streams.fold.rules.applying import Rules
from streams.fold.rules.content import parse_rules, rules_bytes
from streams.kafka.connection import KafkaConnection
from streams.tag.categorizer import Categorizer

Rows = Mapping[str, bytes]  # by key
_AT_ONCE = 32  # images in work in a dry run


@dataclass(frozen=True)
class RetagOptions:
    """What is to be done.

    Attributes:
        run: Name of the run.
        mode: Whether the rules are applied anew, or images looked at: those of other models, or all.
        tenant: Only this tenant's images.
        tags: Only images that have all of these.
        limit: Most images.
        rate: Most images per second.
        dry_run: Whether nothing is written.
        patience: Seconds without progress after which it is given up.
    """

    run: str
    mode: Mode = "model"
    tenant: str | None = None
    tags: tuple[str, ...] = ()
    limit: int | None = None
    rate: float | None = None
    dry_run: bool = False
    patience: float = 60.0


@dataclass
class Report:
    """What came of it so far.

    Attributes:
        fates: How many images of each fate there are.
        total: Images that are to be worked off, as far as they are known.
        done: Those that were.
        differences: What changed, or would change.
        rules: In a dry run: hash of the rules that were applied.
    """

    options: RetagOptions
    fates: Counter[Fate] = field(default_factory=Counter)
    total: int = 0
    done: int = 0
    differences: TagDifferences = field(default_factory=TagDifferences)
    rules: str | None = None


class RetagJob:
    """One re-tag.

    Attributes:
        report: What came of it so far.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        settings: Settings,
        options: RetagOptions,
        on_progress: Callable[[Report], None] = lambda _: None,
    ) -> None:
        """Prepare; `on_progress` is called whenever the report has changed."""
        self.report = Report(options)
        self._connection = connection
        self._settings = settings
        self._names = TopicNames.of(settings)
        self._options = options
        self._on_progress = on_progress

    async def run(self) -> None:
        """Do it.

        Raises:
            TimeoutError: The workers make no progress.
            KafkaError: The broker refuses or does not answer.
            ManifestError: A model folder cannot be used.
            SettingsError: The allowed sources or the rules cannot be read.
        """
        async with contextlib.AsyncExitStack() as stack:
            categorizer = None
            if self._options.dry_run and self._options.mode != "rules":
                categorizer, taggers = await open_categorizer(self._settings, stack)
                self.report.rules = taggers.rules.current.hash
            selection = await self._selection()
            if self._options.dry_run:
                await self._dry_run(selection, self._compute(categorizer))
            else:
                await self._retag(selection)

    async def _selection(self) -> Selection:
        options = self._options
        models = {} if options.mode == "rules" else await self._models()
        default = self._settings.default_add_ons
        return Selection(options.run, options.mode, models, default, options.tenant, options.tags)

    async def _models(self) -> dict[str, ModelInfo]:
        _, models = await asyncio.to_thread(build_tagger, self._settings)
        return models

    def _compute(self, categorizer: Categorizer | None) -> Compute:
        if categorizer is not None:
            return categorizer.outcome
        path = self._settings.rules
        content = None if path is None else parse_rules(rules_bytes(path), path)
        rules = Rules(content, self._settings.auto_tagging)
        self.report.rules = rules.hash
        return with_rules(rules)

    async def _dry_run(self, selection: Selection, compute: Compute) -> None:
        dry_run = DryRun(selection, compute, fold_rules_of(self._settings))
        self.report.differences = dry_run.differences
        pace, room = Pace(self._options.rate), asyncio.Semaphore(_AT_ONCE)

        def seen(_: object) -> None:
            room.release()
            self._progress(1)

        async for partition, rows, keys in self._chosen(selection):
            async with asyncio.TaskGroup() as group:
                for key in keys:
                    await pace.wait()
                    await room.acquire()
                    group.create_task(dry_run.see(partition, key, rows[key])).add_done_callback(seen)

    async def _retag(self, selection: Selection) -> None:
        keys = {partition: keys async for partition, _, keys in self._chosen(selection)}
        run = RetagRun(
            self._connection,
            self._names,
            selection,
            pace=Pace(self._options.rate),
            patience=self._options.patience,
            on_done=self._progress,
        )
        self.report.differences = run.differences
        await run.run(keys)

    async def _chosen(
        self, selection: Selection
    ) -> AsyncIterator[tuple[int, Mapping[str, bytes], list[str]]]:
        """For each partition its images' rows, and the keys of those that are meant."""
        limit = self._options.limit
        for partition, ranges in (await partitions_of(self._connection, self._names)).items():
            rows = await image_rows(self._connection, ranges)
            left = None if limit is None else limit - self.report.total
            keys = list(islice(choose(rows, selection, self.report.fates), left))
            self.report.total += len(keys)
            self._on_progress(self.report)
            yield partition, rows, keys

    def _progress(self, count: int) -> None:
        self.report.done += count
        self._on_progress(self.report)
