"""Gateways as processes beside workers, and a client that signs as the SDKs do."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
from support.cluster import Cluster, free_port

KEY, SECRET, CLOUD = "123456789012345", "a-secret-of-the-tests", "demo"
CREDENTIALS = f"""
[[cloud]]
name = "{CLOUD}"
[[cloud.key]]
id = "{KEY}"
secret = "{SECRET}"
concurrent = 1000
[[cloud]]
name = "other"
[[cloud.key]]
id = "1"
secret = "{SECRET}"
"""


@dataclass
class GatewayCluster(Cluster):
    """Workers of one application, each of which may be a gateway as well; all have one object store."""

    gateway_ports: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        credentials = self.folder / "gateway.toml"
        credentials.write_text(CREDENTIALS, "utf-8")
        credentials.chmod(0o600)
        self.environment = {
            "TAGSTREAM_OBJECT_STORE": str(self.objects),
            "TAGSTREAM_CREDENTIALS": str(credentials),
            "TAGSTREAM_TAGGER": "stub",
            **self.environment,
        }

    @property
    def objects(self) -> Path:
        return self.folder / "objects"

    async def start_as(self, worker: int, roles: str) -> None:
        """Start a process with some roles."""
        port = self.gateway_ports.setdefault(worker, free_port())
        before = dict(self.environment)
        self.environment |= {"TAGSTREAM_ROLES": roles, "TAGSTREAM_GATEWAY_PORT": str(port)}
        try:
            await self.start(worker)
        finally:
            self.environment = before

    def url(self, worker: int) -> str:
        return f"http://127.0.0.1:{self.gateway_ports[worker]}"

    async def until_gateways(self, workers: Iterable[int], seconds: float = 60) -> None:
        """Wait until each of these gateways answers."""
        async with asyncio.timeout(seconds), httpx.AsyncClient(trust_env=False) as client:
            for worker in workers:
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        await client.get(self.url(worker))
                        break
                    await asyncio.sleep(0.1)

    def stored(self) -> list[str]:
        """Keys of all objects."""
        return sorted(
            str(path.relative_to(self.objects)) for path in self.objects.rglob("*") if path.is_file()
        )


def signed(fields: dict[str, Any], secret: str = SECRET, key: str = KEY) -> dict[str, Any]:
    """The fields of a call, signed as SDKs do."""
    told = {"timestamp": str(int(time.time())), **fields}
    texts = {name: ",".join(text) if isinstance(text, list) else str(text) for name, text in told.items()}
    pairs = [f"{name}={texts[name]}".replace("&", "%26") for name in sorted(texts) if texts[name]]
    signature = hashlib.sha1(("&".join(pairs) + secret).encode(), usedforsecurity=False).hexdigest()
    arrays = {f"{name}[]": text for name, text in told.items() if isinstance(text, list)}
    plain = {name: str(text) for name, text in told.items() if not isinstance(text, list)}
    return {**plain, **arrays, "api_key": key, "signature": signature}


class GatewayClient:
    """Calls one gateway."""

    def __init__(self, url: str, cloud: str = CLOUD) -> None:
        self.url = url
        self._base = f"{url}/v1_1/{cloud}"
        self._http = httpx.AsyncClient(trust_env=False, timeout=60)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def post(
        self,
        path: str,
        fields: dict[str, Any],
        file: tuple[str, bytes] | None = None,
        **more: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """Call with a form; of several parts where there is a file."""
        files = {"file": file} if file else None
        return await self._http.post(f"{self._base}/{path}", data=fields, files=files, **more)

    async def upload(
        self,
        data: bytes,
        name: str = "koala.jpg",
        resource_type: str = "image",
        **options: Any,  # noqa: ANN401
    ) -> httpx.Response:
        """Upload a file with a signature of this moment."""
        return await self.post(f"{resource_type}/upload", signed(options), (name, data))

    async def call(self, path: str, **fields: Any) -> Any:  # noqa: ANN401 - JSON
        """Make a signed call without a file, which succeeds."""
        answer = await self.post(path, signed(fields))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401
        """Load what is served."""
        return await self._http.get(path if path.startswith("http") else self.url + path, **more)
