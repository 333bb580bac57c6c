"""Checks of what gateways need, and of the object store that workers read from as well."""

import stat
from collections.abc import Iterator

from schemas.errors import SettingsError
from streams.app.checks.refusals import refused
from streams.app.settings import Settings, variable
from streams.fetch.object_store import ObjectStore
from streams.gateway.requests.credentials_file import read_credentials
from streams.gateway.requests.options import check_preset
from streams.kafka.checks.findings import Finding


def check_gateway(settings: Settings) -> Iterator[Finding]:
    """Whether the object store is one, and the gateway's keys can be read."""
    yield _object_store(settings)
    if settings.is_gateway:
        yield _credentials(settings)


def _object_store(settings: Settings) -> Finding:
    value = f"{variable('object_store')}={settings.object_store!r}"
    try:
        objects = ObjectStore.parse(settings.object_store, settings.data_dir)
    except SettingsError as error:
        return refused("object store", value, error, "name a folder or a bucket")
    place = objects.place if objects.folder is None else str(objects.folder)
    return Finding("object store", "ok", place, "one for all gateways and workers")


def _credentials(settings: Settings) -> Finding:
    path, made = settings.credentials_file, settings.credentials is None
    value = f"{variable('credentials')}={str(path)!r}"
    if made and not path.exists():
        return Finding("credentials", "ok", value, "not there yet: made at the start, with the cloud demo")
    try:
        found = read_credentials(path, lambda preset: check_preset(preset, settings.model_folders))
        mode = stat.S_IMODE(path.stat().st_mode)
    except (SettingsError, OSError) as error:
        return refused("credentials", value, error, "correct the file; docs/gateway.md shows one")
    told = f"{value}, mode {mode:04o}, clouds: {len(found.clouds)}, keys: {found.keys}"
    if not found.keys:
        return Finding(
            "credentials", "warn", told, "it holds no key: nobody may call", "add a cloud with a key"
        )
    return Finding("credentials", "ok", told, "a file of keys that others can neither read nor write")
