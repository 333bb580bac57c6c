"""The report of an evaluation: one HTML file with everything inside, also pictures of the worst errors."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from model.decoding.decode import decode
from model.evaluation.reliability import diagram

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from model.evaluation.metrics import Quality, Scores, TagQuality
    from model.evaluation.truth import Truth

_PICTURE = 220
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
:root{color-scheme:light dark}h1,h2{line-height:1.2}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.2rem .6rem;border-bottom:1px solid #8884}
th:first-child,td:first-child{text-align:left}
.figures{display:flex;gap:2rem;flex-wrap:wrap}.figures b{display:block;font-size:1.7rem}
.errors{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:1.2rem}
figure{margin:0}img{max-width:100%;height:180px;object-fit:contain;background:#8882;width:100%}
figcaption{font-size:.85rem;overflow-wrap:anywhere}.wrong{color:#d33}.missed{color:#b60}svg{max-width:100%}
"""


@dataclass(frozen=True)
class PhotoErrors:
    """What is wrong about one photo: tags with their confidence, and what is true of it.

    `size` says how bad the worst is, 0 to 1: the confidence of a wrong tag, or what a missed one lacks of 1.
    """

    file: str
    wrong: list[tuple[str, float]]
    missed: list[tuple[str, float]]
    true: list[str]
    size: float


def worst_errors(
    files: Sequence[str], scores: Scores, truth: Truth, *, names: Sequence[str], threshold: float, most: int
) -> list[PhotoErrors]:
    """Collect the photos with the worst errors: sure of what is wrong, or blind to what is true."""
    predicted = scores.confidence > threshold
    found = []
    for photo, file in enumerate(files):
        judged, positive = truth.judged[photo], truth.positive[photo]
        confidence, probability = scores.confidence[photo], scores.probability[photo]
        wrong = np.flatnonzero(predicted[photo] & judged & ~positive)
        missed = np.flatnonzero(~predicted[photo] & judged & positive)
        if len(wrong) or len(missed):
            size = max([*probability[wrong].tolist(), *(1 - probability[missed]).tolist()])
            found.append(
                PhotoErrors(
                    file,
                    _named(wrong, names, confidence.tolist()),
                    _named(missed, names, confidence.tolist()),
                    [names[tag] for tag in np.flatnonzero(positive).tolist()],
                    size * (1 + 0.01 * (len(wrong) + len(missed))),
                )
            )
    return sorted(found, key=lambda errors: (-errors.size, errors.file))[:most]


def report(quality: Quality, worst: Sequence[PhotoErrors], folder: Path, model: str, labels: str) -> str:
    """Write the report.

    Args:
        quality: What was measured.
        worst: The photos to show.
        folder: Where they are.
        model: Name and version of the tagger.
        labels: Name of the labels file.
    """
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(model)}: evaluation</title><style>{_STYLE}</style>"
        f"<h1>Evaluation of {escape(model)}</h1>"
        f"<p>{quality.photos} photos of {escape(labels)}; a tag is predicted above a confidence of "
        f"{quality.threshold:g}. True are the tags of the rows and all more general ones; judged are the "
        f"tags that some row names or implies; {quality.not_judged} other predictions count neither way.</p>"
        f"{_figures(quality)}<h2>Calibration</h2>{diagram(quality.reliability)}"
        f'<h2>Worst errors</h2><div class="errors">{"".join(_card(errors, folder) for errors in worst)}</div>'
        f"<h2>Tags</h2>{_table(quality.tags)}\n"
    )


def _named(tags: Iterable[int], names: Sequence[str], confidence: Sequence[float]) -> list[tuple[str, float]]:
    return sorted(((names[tag], confidence[tag]) for tag in tags), key=lambda pair: (-pair[1], pair[0]))


def _figures(quality: Quality) -> str:
    figures = {
        "precision": quality.precision,
        "recall": quality.recall,
        "mean average precision": quality.map,
        "calibration error": quality.ece,
    }
    cells = "".join(f"<div>{name}<b>{_shown(value)}</b></div>" for name, value in figures.items())
    return f'<div class="figures">{cells}</div>'


def _card(errors: PhotoErrors, folder: Path) -> str:
    lines = [f"<b>{escape(errors.file)}</b>", f"true: {escape(', '.join(errors.true) or 'nothing')}"]
    for kind, tags in (("wrong", errors.wrong), ("missed", errors.missed)):
        if tags:
            told = ", ".join(f"{escape(tag)} {confidence:.2f}" for tag, confidence in tags)
            lines.append(f'<span class="{kind}">{kind}: {told}</span>')
    picture = base64.b64encode(_picture(folder / errors.file)).decode("ascii")
    source = f"data:image/jpeg;base64,{picture}"
    return f'<figure><img alt="" src="{source}"><figcaption>{"<br>".join(lines)}</figcaption></figure>'


def _picture(path: Path) -> bytes:
    """A small JPEG file in the photo's own proportions."""
    image = decode(path.read_bytes(), _PICTURE)
    scale = _PICTURE / max(image.width, image.height)
    size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    target = io.BytesIO()
    Image.fromarray(image.pixels).resize(size, Image.Resampling.BICUBIC).save(target, "JPEG", quality=80)
    return target.getvalue()


def _table(tags: Sequence[TagQuality]) -> str:
    head = "".join(
        f"<th>{name}</th>"
        for name in ("tag", "true", "predicted", "right", "precision", "recall", "AP", "calibration error")
    )
    return f"<table><tr>{head}</tr>{''.join(_row(tag) for tag in tags)}</table>"


def _row(tag: TagQuality) -> str:
    shares = (tag.precision, tag.recall, tag.average_precision, tag.calibration_error)
    cells = [escape(tag.tag), *map(str, (tag.true, tag.predicted, tag.right)), *map(_shown, shares)]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
