"""Checks of this machine, quick enough for each start: directory, disk, rules, sources, who may ask."""

import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import SettingsError
from streams.app.checks.gateway import check_gateway
from streams.app.checks.refusals import refused
from streams.app.settings import Settings, variable
from streams.fetch.addresses import AddressPolicy
from streams.fetch.roots import FILE, SourceRoots
from streams.fetch.wire.request_headers import RequestHeaders
from streams.fold.rules.applying import Rules
from streams.fold.rules.content import parse_rules, rules_bytes
from streams.kafka.checks.findings import Finding
from streams.web.access.guard import check_reach
from streams.web.access.tokens import read_tokens

_GIB = 1 << 30
_ROOM = _GIB  # some 300,000 images' snapshots
_PATIENCE = 1.0  # seconds that a folder may take to answer


def check_machine(settings: Settings) -> Iterator[Finding]:
    """All checks of this machine but the models."""
    yield from check_data_dir(settings)
    if settings.tags:
        yield check_rules(settings)
        yield from check_sources(settings)
    if settings.tags or settings.is_gateway:
        yield from check_gateway(settings)
    yield check_access(settings)


def check_data_dir(settings: Settings) -> Iterator[Finding]:
    """Whether a worker could write to its directory, and how much. Nothing is made that would stay."""
    value = _shown("data_dir", settings)
    folder = settings.data_dir.absolute()
    try:
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        cure = "name a directory that the worker may write to"
        yield Finding("data directory", "fail", value, error.strerror or str(error), cure)
        return
    yield Finding("data directory", "ok", value, "a directory that the worker may write to")
    yield _disk(there, free)


def _disk(folder: Path, free: int) -> Finding:
    value = f"{free / _GIB:.1f} GiB free in {folder}"
    rule = f"with less than {_ROOM / _GIB:g} GiB snapshots may not be saved, and restarts take longer"
    if free >= _ROOM:
        return Finding("disk", "ok", value, rule)
    return Finding("disk", "warn", value, rule, f"make room, or name another disk in {variable('data_dir')}")


def check_rules(settings: Settings) -> Finding:
    """Whether the file of rules can be used."""
    if settings.rules is None:
        return Finding("rules", "ok", "none", f"{variable('rules')} is not set")
    value = _shown("rules", settings)
    try:
        rules = Rules(parse_rules(rules_bytes(settings.rules), settings.rules), settings.auto_tagging)
    except SettingsError as error:
        return refused(
            "rules", value, error, f"`tagstream rules validate {settings.rules}` until it can be used"
        )
    return Finding("rules", "ok", value, f"can be used: rules {rules.hash}")


def check_sources(settings: Settings) -> Iterator[Finding]:
    """Whether allowed sources and roots can be read, and folders among them answer."""
    try:
        policy = AddressPolicy.parse(settings.allow_sources)
        roots = SourceRoots.parse(settings.source_roots).roots
        RequestHeaders.read(settings.source_headers, os.environ)
    except SettingsError as error:
        names = ("allow_sources", "source_roots", "source_headers")
        value = ", ".join(_shown(name, settings) for name in names if getattr(settings, name))
        yield refused("sources", value, error, "correct the entry")
        return
    folders = [
        Path("/" + os.fsdecode(b"/".join(root.location.names)))
        for root in roots
        if root.location.scheme == FILE
    ]
    faults = [fault for folder in folders if (fault := _folder_fault(folder))]
    yield from faults
    private = len(policy.hosts) + len(policy.networks)
    value = f"{private} private, {len(roots)} folders and buckets"
    if not faults:
        yield Finding(
            "sources", "ok", value, "public addresses on the web's ports, and what the settings name"
        )


def _folder_fault(folder: Path) -> Finding | None:
    """What is wrong with a folder. It may hang, so a thread looks that nobody has to wait for."""
    found: list[str] = []
    looking = threading.Thread(target=lambda: found.append(_state_of(folder)), daemon=True)
    looking.start()
    looking.join(_PATIENCE)
    state = found[0] if found else f"does not answer within {_PATIENCE:g} s"
    cure = f"mount it, or take it out of {variable('source_roots')}"
    rule = "uploads from it wait, or become dead letters"
    return Finding("sources", "warn", f"{folder} {state}", rule, cure) if state else None


def _state_of(folder: Path) -> str:
    """Why a folder gives no file; empty where it may."""
    try:
        with os.scandir(folder) as entries:
            return "" if any(entries) else "is empty"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def check_access(settings: Settings) -> Finding:
    """Whether it is said who may ask, by a file that others cannot read."""
    value = _shown("web_host", settings)
    try:
        check_reach(settings)
        if settings.tokens is None:
            who = "anybody" if settings.open_api else "whoever is on this machine"
            what = "ask, upload and edit" if settings.open_page else "ask"
            return Finding("tokens", "ok", "none", f"{value}: {who} may {what}")
        value = _shown("tokens", settings)
        count = len(read_tokens(settings.tokens).callers)
        mode = stat.S_IMODE(settings.tokens.stat().st_mode)
    except (SettingsError, OSError) as error:
        return refused("tokens", value, error, "make a file of tokens with `tagstream token new`")
    rule = "a file of tokens that others can neither read nor write"
    value = f"{value}, mode {mode:04o}, tokens: {count}"
    if not count:
        return Finding(
            "tokens",
            "warn",
            value,
            "it holds no token: nobody may ask",
            "make one with `tagstream token new`",
        )
    return Finding("tokens", "ok", value, rule)


def _shown(name: str, settings: Settings) -> str:
    value = getattr(settings, name)
    return f"{variable(name)}={str(value)!r}"
