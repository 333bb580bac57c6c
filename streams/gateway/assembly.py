"""The gateway, put together."""

from collections.abc import Collection
from dataclasses import dataclass

from litestar.types import ASGIApp

from model import FORMATS
from streams.fetch.fetcher import Fetcher
from streams.fetch.object_store import ObjectStore
from streams.gateway.admin_api.changing import Changing
from streams.gateway.admin_api.finding import Finder
from streams.gateway.admin_api.reading import Reading
from streams.gateway.admin_api.routes import reading_routes
from streams.gateway.answers import Addresses
from streams.gateway.app import create_gateway
from streams.gateway.assets.changing import Assets
from streams.gateway.assets.events import Events
from streams.gateway.assets.library import Library
from streams.gateway.assets.media import MediaReader
from streams.gateway.assets.remote import RemoteFiles
from streams.gateway.assets.removals import Removals
from streams.gateway.assets.updates import Updates
from streams.gateway.assets.uploads import Uploads
from streams.gateway.calls import Area, Door, Route, vendors_problem
from streams.gateway.chunked_uploads import ChunkedUploads
from streams.gateway.chunks import Chunks
from streams.gateway.delivery import Delivery
from streams.gateway.imagga.imagga_api import ImaggaApi, Room
from streams.gateway.meter import GatewayMeter
from streams.gateway.rates import Rates
from streams.gateway.requests import bodies
from streams.gateway.requests.credentials_file import CredentialsFile
from streams.gateway.requests.forms import Forms
from streams.gateway.upload_api import Actions, UploadApi, UploadLimits
from streams.tag.looking import Looker


@dataclass(frozen=True)
class Limits:
    """What callers may ask for.

    Attributes:
        add_ons: Names of those that there are.
        file: Bytes of a file.
        image: Bytes of an image.
        images: Bytes of all images that are looked at without being stored.
        formats: Those of images that may be decoded.
    """

    add_ons: Collection[str]
    file: int
    image: int
    images: int = 128_000_000
    formats: Collection[str] = FORMATS


@dataclass(frozen=True)
class Gateway:
    """What a gateway is made of.

    Attributes:
        looker: Answers Imagga's API; None: it is not answered.
    """

    library: Library
    events: Events
    objects: ObjectStore
    fetcher: Fetcher
    credentials: CredentialsFile
    limits: Limits
    looker: Looker | None = None

    def app(self, url: str, meter: GatewayMeter | None = None) -> ASGIApp:
        """Make the application.

        Args:
            url: Where clients reach it.
            meter: Is told of each answer; None: nobody is.
        """
        at, limits = Addresses.of(url), self.limits
        forms = Forms(bodies.Limits(file=limits.file))
        door = Door(self.credentials, Rates(), forms)
        media = MediaReader(self.objects, limits.image, limits.formats)
        uploads = Uploads(self.library, self.events, self.objects, media)
        assets = Assets(self.library, self.events)
        actions = Actions(
            uploads=uploads,
            chunked=ChunkedUploads(Chunks(self.objects, limits.file), uploads, self.library),
            updates=Updates(assets),
            removals=Removals(assets, self.objects, frozenset(limits.add_ons)),
            remote=RemoteFiles(self.fetcher),
        )
        upload_api = UploadApi(actions, self.objects, UploadLimits(limits.add_ons, limits.file), at)
        delivery = Delivery(self.library, self.objects)
        imagga = [self._imagga(self.looker, uploads)] if self.looker else []
        return create_gateway(
            door,
            [
                *imagga,
                Area("/v1_1/", [*upload_api.routes(), *self._admin_routes(actions, at)], vendors_problem),
                Area("/", delivery.routes(), vendors_problem),
            ],
            meter,
        )

    def _imagga(self, looker: Looker, uploads: Uploads) -> Area:
        room = Room(self.limits.image, self.limits.images, self.limits.formats)
        return ImaggaApi(looker, self.fetcher, self.objects, uploads, room).area()

    def _admin_routes(self, actions: Actions, at: Addresses) -> list[Route]:
        finder = Finder(self.library)
        changing = Changing(finder, actions.updates, actions.removals, self.limits.add_ons, at)
        return [*reading_routes(Reading(finder, at, self.limits.file)), *changing.routes()]
