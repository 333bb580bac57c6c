"""Add-ons: which are offered, each with its model's folder, and which run where an event names none."""

from pathlib import Path

from model.parts.combined import Part
from streams.fold.people import OWN, PEOPLE

DEFAULT_OFFER = "tagstream, imagga_tagging, object_tagging, scene_tagging"
DEFAULT_CHOICE = "imagga_tagging"
DEFAULT_PARTS = ", ".join(Part)
_OFFER, _CHOICE = "TAGSTREAM_ADD_ONS", "TAGSTREAM_CATEGORIZATION"


def model_folders(offer: str) -> dict[str, Path | None]:
    """Each add-on's model folder; None stands for the default model."""
    return {name: Path(folder) if folder else None for name, folder in _entries(offer)}


def chosen(choice: str) -> tuple[str, ...]:
    """Names separated by commas, each once."""
    names = (name.strip() for name in choice.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def offer_fault(offer: str) -> str | None:
    """What is wrong with an offer taken by itself, and the cure."""
    entries = _entries(offer)
    if not entries:
        return "names no add-on; say NAME or NAME=FOLDER, several separated by commas"
    for name, folder in entries:
        if not name or folder == "":
            half = f"{name}={folder or ''}"
            return f"has {half!r}; say NAME=FOLDER, or NAME alone for the model that comes along"
        if name in {OWN, PEOPLE}:
            return f"names {name!r}, which stands for tags that no add-on gave; choose another"
    folders = dict(entries)
    twice = [name for name, folder in entries if folders[name] != folder]
    return f"names {twice[0]!r} twice, with different models; choose another name for one" if twice else None


def parts_fault(parts: str) -> str | None:
    """What is wrong with the parts of the default add-on, and the cure."""
    named = chosen(parts)
    unknown = [name for name in named if name not in set(Part)]
    if unknown:
        return f"names {unknown[0]!r}, which is no part; choose of {DEFAULT_PARTS}"
    if Part.CLASSIFIER not in named:
        return f"lacks {str(Part.CLASSIFIER)!r}, whose word on animals the other parts need; add it"
    return None


def misfit(offer: str, choice: str) -> str | None:
    """Why a choice is none of an offer, with the cure; blames the default one of the two last."""
    offered, wanted = model_folders(offer), chosen(choice)
    unknown = [name for name in wanted if name not in offered]
    if wanted and not unknown:
        return None
    names = ", ".join(offered)
    if choice == DEFAULT_CHOICE:
        rule = f"does not offer {choice!r}, which runs where an event names no add-on"
        return f"{_OFFER}={offer!r} {rule}; add it, or say in {_CHOICE} which is to run instead: {names}"
    fault = f"{unknown[0]!r} is no add-on" if unknown else "names no add-on"
    where = "" if offer == DEFAULT_OFFER else f" by {_OFFER}={offer!r}"
    cure = f"choose of these, or offer it in {_OFFER}" if unknown else "choose of these"
    return f"{_CHOICE}={choice!r}: {fault}; offered: {names}{where}; {cure}"


def _entries(offer: str) -> list[tuple[str, str | None]]:
    pairs = (entry.partition("=") for entry in offer.split(",") if entry.strip())
    return [(name.strip(), folder.strip() if sign else None) for name, sign, folder in pairs]
