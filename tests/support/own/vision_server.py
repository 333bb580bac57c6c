"""An endpoint like OpenAI's: `python vision_server.py PORT [SECONDS]`; it sees how bright a picture is.

What it is asked is checked by the types of OpenAI's own library, and the answer is one of them. SECONDS is
how long it takes for each.
"""

import asyncio
import base64
import io
import json
import os
import sys
from typing import Any

import jsonschema
import numpy as np
from aiohttp import web
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from PIL import Image
from pydantic import TypeAdapter

REQUEST = TypeAdapter(CompletionCreateParamsNonStreaming)
SECONDS = web.AppKey("seconds", float)


async def complete(request: web.Request) -> web.Response:
    """Answer a question about a picture."""
    if request.headers.get("authorization") != f"Bearer {os.environ.get('VISION_SECRET', 'sesame')}":
        return web.json_response({"error": {"message": "who are you?"}}, status=401)
    await asyncio.sleep(request.app[SECONDS])
    asked: Any = REQUEST.validate_python(await request.json())
    (message,) = asked["messages"]
    text, picture = list(message["content"])
    assert "Tag this photo" in text["text"]
    found = seen(picture["image_url"]["url"])
    jsonschema.validate(found, asked["response_format"]["json_schema"]["schema"])
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": json.dumps(found)},
    }
    about = {"id": "1", "created": 0, "model": asked["model"], "object": "chat.completion"}
    completion = ChatCompletion.model_validate(about | {"choices": [choice]})
    return web.Response(text=completion.model_dump_json(), content_type="application/json")


def seen(url: str) -> dict[str, Any]:
    """Tags of a picture: how bright it is, and which way up it is held."""
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    bright = float(np.asarray(picture.convert("L")).mean()) / 255
    shape = "wide" if picture.width > picture.height else "tall"
    return {"tags": [{"tag": "bright", "confidence": round(bright, 3)}, {"tag": shape, "confidence": 0.9}]}


if __name__ == "__main__":
    app = web.Application(client_max_size=10_000_000)
    app[SECONDS] = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    app.router.add_post("/v1/chat/completions", complete)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
