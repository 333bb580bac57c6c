"""Answers in Imagga's form: everything in `result`, and `status` says whether it went well."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from model.tagger.languages import TagNames
from streams.gateway.calls import Answer
from streams.gateway.imagga.questions import TagsQuestion
from streams.gateway.requests.problems import GatewayError, TooOftenError
from streams.tag.looking import Look

LEAST = 7.0  # nothing below this confidence is told
_SUCCESS = {"text": "", "type": "success"}


def result(told: Mapping[str, Any]) -> Answer:
    """The answer of a call that went well."""
    return Answer({"result": told, "status": _SUCCESS})


def done() -> Answer:
    """The answer of a call that has nothing to tell."""
    return Answer({"status": _SUCCESS})


def explain(error: GatewayError) -> Answer:
    """The answer of a call that did not; its clients know 429, and not 420."""
    status = HTTPStatus.TOO_MANY_REQUESTS if isinstance(error, TooOftenError) else error.status
    told = {"result": {}, "status": {"text": error.message, "type": "error"}}
    return Answer(told, status, error.headers)


def tags_of(look: Look, question: TagsQuestion) -> dict[str, Any]:
    """What was found, as a question wants it: best first, each tag once, with its best confidence."""
    best: dict[str, float] = {}
    for score in (score for scores in look.scores.values() for score in scores):
        best[score.tag] = max(best.get(score.tag, 0.0), round(score.confidence * 100, 2))
    ranked = sorted(best.items(), key=lambda item: -item[1])
    least = max(question.threshold, LEAST)
    told = [(tag, confidence) for tag, confidence in ranked if confidence >= least]
    kept = told if question.limit is None else told[: question.limit]
    return {"tags": [_tag(tag, confidence, question) for tag, confidence in kept]}


def categorizers(tag_names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The add-ons, each with all that it can say."""
    return {
        "categorizers": [
            {"id": name, "title": name.replace("_", " ").capitalize(), "labels": list(labels)}
            for name, labels in tag_names.items()
        ]
    }


def _tag(tag: str, confidence: float, question: TagsQuestion) -> dict[str, Any]:
    names = TagNames.load()
    named = {code: names.name(tag, code) or tag for code in question.languages}
    more = {"origin": "recognition"} if question.verbose else {}
    return {"confidence": confidence, "tag": named, **more}
