"""The SDKs, each installed once, and one gateway for all of them."""

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.sdk.deployment import Gateway, running_gateway
from support.sdk.installing import Install, Sdk, install_java, install_node, install_python

INSTALLERS = {"python": install_python, "node": install_node, "java": install_java}
NEEDS = {"python": "python3", "node": "npm", "java": "javac"}


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Gives an SDK of a language and a generation."""
    installed: dict[tuple[str, int], Sdk] = {}

    async def once(language: str, generation: int) -> Sdk:
        if not shutil.which(NEEDS[language]):
            pytest.skip(f"needs {NEEDS[language]}")
        if (language, generation) not in installed:
            folder = tmp_path_factory.mktemp(f"{language}{generation}")
            installed[language, generation] = await INSTALLERS[language](generation, folder)
        return installed[language, generation]

    return once


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A worker and a gateway that are ready."""
    async with running_gateway(kafka, tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway
