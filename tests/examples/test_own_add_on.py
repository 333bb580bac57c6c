"""A model of one's own beside the default one."""

import base64
import io
from typing import Any

import pytest
from PIL import Image
from support.cluster import Cluster
from support.examples import until

from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="session")]


def picture_of(colour: str) -> str:
    """A data URL of a picture that has one colour."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


@pytest.mark.parametrize(("colour", "tag"), [("red", "reddish"), ("lime", "greenish"), ("blue", "bluish")])
async def test_a_worker_runs_it(cluster: Cluster, colour: str, tag: str) -> None:
    """Both add-ons answer; the own model's tags are its labels."""
    add_ons = "imagga_tagging,prevailing_colour"
    await cluster.publish([UploadData(public_id=colour, url=picture_of(colour), categorization=add_ons)])

    async def result() -> dict[str, Any] | None:
        results = await cluster.results()
        return next((result for result in results if result["public_id"] == colour), None)

    answers = (await until(result))["info"]["categorization"]
    assert {name: answer["status"] for name, answer in answers.items()} == {
        "imagga_tagging": "complete",
        "prevailing_colour": "complete",
    }
    best = answers["prevailing_colour"]["data"][0]
    assert (best["tag"], round(best["confidence"], 2)) == (tag, 1.0)
    assert answers["prevailing_colour"]["model"] == {"name": "prevailing_colour", "version": "1"}
