"""The routes of the Admin API. The first that fits answers, so what is more special comes first."""

from streams.gateway.admin_api.reading import Reading
from streams.gateway.calls import Route, route

CLOUD = "(?P<cloud>[^/]+)"
OF_TYPE = rf"{CLOUD}/resources/(?P<resource_type>image|raw|video)"
OF_KIND = rf"{OF_TYPE}/(?P<type>upload|private|authenticated)"
ASSET = rf"{OF_KIND}/(?P<public_id>.+)"


def reading_routes(reading: Reading) -> list[Route]:
    """Give the routes of calls that ask, below `/v1_1/`."""
    return [
        route("GET", rf"{CLOUD}/ping", reading.ping),
        route("GET", rf"{CLOUD}/resources", reading.resource_types),
        route("GET POST", rf"{CLOUD}/resources/search", reading.search),
        route("GET", rf"{CLOUD}/resources/by_asset_ids", reading.by_asset_ids),
        route("GET", rf"{CLOUD}/resources/by_asset_folder", reading.by_asset_folder),
        route("GET", rf"{CLOUD}/resources/(?P<asset_id>[0-9a-f]{{32}})", reading.resource_by_asset_id),
        route("GET", rf"{OF_TYPE}/tags/(?P<tag>.+)", reading.by_tag),
        route("GET", rf"{OF_TYPE}/context", reading.by_context),
        route("GET", OF_TYPE, reading.resources),
        route("GET", OF_KIND, reading.resources),
        route("GET", ASSET, reading.resource),
        route("GET", rf"{CLOUD}/tags/(?P<resource_type>image|raw|video)", reading.tags),
        route("GET", rf"{CLOUD}/usage(?:/(?P<date>[^/]+))?", reading.usage),
        route("GET", rf"{CLOUD}/config", reading.config),
        route("GET", rf"{CLOUD}/folders(?:/(?P<folder>.+))?", reading.folders),
        route("GET", rf"{CLOUD}/upload_presets(?:/(?P<name>.+))?", reading.presets),
    ]
