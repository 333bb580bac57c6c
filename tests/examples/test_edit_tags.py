"""A person's word against a tagger's."""

from typing import Any

import pytest
from support.cluster import Cluster
from support.examples import Programs, until

from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="session")]


async def test_a_tagger_does_not_undo_it(cluster: Cluster, programs: Programs, koala: str) -> None:
    """The tag that was added stays, and the one that was removed stays away, also after another upload."""
    await cluster.publish([UploadData(public_id="edited", url=koala, auto_tagging=0.4)])
    printed = await programs.output(
        "examples/edit_tags.py", "edited", "--add", "zoo", "--remove", "mammal", "--by", "ann"
    )
    assert printed.startswith("published: ")
    await cluster.publish([UploadData(public_id="edited", url=koala, auto_tagging=0.2)])

    async def image() -> dict[str, Any] | None:
        state: dict[str, Any] = await cluster.get(0, "/images/edited")
        tags = {tag["tag"] for tag in state.get("tags", [])}
        return state if "animal" in tags else None  # which 0.2 assigns and 0.4 does not

    state = await until(image)
    tags = {tag["tag"] for tag in state["tags"]}
    assert {"koala", "zoo"} <= tags
    assert "mammal" not in tags
    edits = {edit["tag"]: edit["by"] for edit in state["edits"]}
    assert edits == {"zoo": "ann", "mammal": "ann"}
