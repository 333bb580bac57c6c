"""A schema registry, by Confluent's HTTP API, which Karapace, Apicurio and Redpanda answer as well."""

import base64
from collections.abc import Mapping
from typing import Self

import msgspec

from schemas.contracts.schema_ids import schema_id_header
from schemas.errors import SettingsError
from streams.fetch.errors import SourceBusyError
from streams.fetch.sending.asker import Asker
from streams.fetch.urls import shown

_TYPE = "application/vnd.schemaregistry.v1+json"
_MOST_BYTES = 1_048_576
_DEADLINE = 10.0
USERNAME, PASSWORD = "SCHEMA_REGISTRY_USERNAME", "SCHEMA_REGISTRY_PASSWORD"


class RegistryError(Exception):
    """A schema is not registered; it may be another time."""


class _Registered(msgspec.Struct):
    id: int
    guid: str | None = None


class SchemaRegistry:
    """Registers schemas. Used from one event loop, and closed there."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = shown(url)
        asked = {"content-type": _TYPE, "accept": f"{_TYPE}, application/json", **headers}
        self._asker = Asker(url, asked, deadline=_DEADLINE, most_bytes=_MOST_BYTES, at_once=1)

    @classmethod
    def at(cls, url: str, environment: Mapping[str, str]) -> Self:
        """The registry at a URL, asked with the name and password that the environment may have.

        Raises:
            SettingsError: One of the two is missing.
        """
        name, password = environment.get(USERNAME, ""), environment.get(PASSWORD, "")
        if bool(name) != bool(password):
            missing = PASSWORD if name else USERNAME
            raise SettingsError(f"{missing} is not set: a registry wants name and password; set both or none")
        login = base64.b64encode(f"{name}:{password}".encode()).decode()
        return cls(url, {"authorization": f"Basic {login}"} if name else {})

    async def register(self, subject: str, schema: str) -> tuple[str, bytes]:
        """Register a JSON Schema, unless it is there; return the header that names it.

        Raises:
            RegistryError: The registry does not answer, or refuses it.
        """
        body = msgspec.json.encode({"schemaType": "JSON", "schema": schema})
        try:
            answer = await self._asker.ask(f"/subjects/{subject}/versions", body)
        except SourceBusyError as error:
            raise RegistryError(str(error)) from error
        try:
            found = msgspec.json.decode(answer, type=_Registered)
            return schema_id_header(found.id, found.guid)
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            message = f"no schema's id from {self.url}: {answer[:64]!r}; is it a schema registry's address?"
            raise RegistryError(message) from error

    async def aclose(self) -> None:
        """Close its connections."""
        await self._asker.aclose()
