"""Whether spans are recorded, as OpenTelemetry's own variables say."""

import logging
from collections.abc import Mapping
from importlib.metadata import version
from urllib.parse import urlsplit

from schemas.topics import TopicNames
from streams.app.settings import Settings
from streams.telemetry.tracing import NO_TRACING, Tracing

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"


def open_tracing(environment: Mapping[str, str], settings: Settings) -> Tracing:
    """What records spans, if somebody collects them; else what only passes traces on.

    OpenTelemetry reads the process's own environment besides. A wrong variable, or a package that is not
    there, costs the spans and a warning, never the worker.
    """
    if not _is_wanted(environment):
        return NO_TRACING
    try:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - of an extra

        from streams.telemetry.otlp import Consumer, OtlpTracing  # noqa: PLC0415 - likewise

        consumer = Consumer(TopicNames.of(settings).uploads, settings.app_id, settings.group_instance_id)
        tracing = OtlpTracing(consumer, Resource.create(_resource(environment, settings)))
    except ImportError:
        log.warning(
            "no spans: %s is set, but the extra is not installed; pip install 'tagstream[otel]'", ENDPOINTS[1]
        )
        return NO_TRACING
    except ValueError as error:
        log.warning("no spans: %s; mend the variable OTEL_… that it is about", error)
        return NO_TRACING
    collector = next(filter(None, map(environment.get, ENDPOINTS)))
    log.info("spans go to the collector at %s", urlsplit(collector).hostname)
    return tracing


def _is_wanted(environment: Mapping[str, str]) -> bool:
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if off or exporter != "otlp" or not any(map(environment.get, ENDPOINTS)):
        return False
    protocol = next(filter(None, map(environment.get, _PROTOCOLS)), _SPOKEN)
    if protocol != _SPOKEN:
        cure = f"{_SPOKEN} alone is spoken, mostly on port 4318"
        log.warning("no spans: %s=%r; %s", _PROTOCOLS[1], protocol, cure)
    return protocol == _SPOKEN


def _resource(environment: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Who we are; the operator's own word on it wins."""
    ours = {
        "service.name": environment.get("OTEL_SERVICE_NAME") or "tagstream",
        "service.version": version("tagstream"),
        "service.instance.id": settings.group_instance_id,
    }
    said = {
        entry.partition("=")[0].strip()
        for entry in environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    }
    if environment.get("OTEL_SERVICE_NAME"):
        said.discard("service.name")
    return {name: value for name, value in ours.items() if name not in said}
