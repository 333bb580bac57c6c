"""Read PyTorch's legacy ``.pth`` files with numpy alone.

The format (``torch.serialization._legacy_save``) is five pickles in a row - magic number, protocol version,
system information, the state dict, the storage keys - followed by each storage: its length as int64, then its
elements. Tensors in the state dict refer to storages by key. A pickle can name any function to be called; the
unpickler here knows three names and refuses the rest.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True)
class _Storage:
    dtype: np.dtype[Any]
    key: str
    length: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_legacy_pth(path: Path) -> dict[str, NDArray[Any]]:
    """Read a state dict: float32 and int64 arrays by name.

    Raises:
        ValueError: The file is not of the legacy format.
        pickle.UnpicklingError: It names something that is not on the list.
    """
    with path.open("rb") as file:
        if (magic := _load(file)) != _MAGIC or _load(file) != _PROTOCOL or not _load(file)["little_endian"]:
            raise ValueError(
                f"{path} starts with {magic!r}: not a little-endian legacy .pth file of protocol 1001"
            )
        tensors: dict[str, _Tensor] = _load(file)
        keys: list[str] = _load(file)
        storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        data = {key: _read_storage(file, storages[key]) for key in keys}
        if file.read(1):
            raise ValueError(f"{path} goes on after its last storage: it is not read in full")
    return {name: _view(tensor, data[tensor.storage.key]) for name, tensor in tensors.items()}


def _load(file: BinaryIO) -> Any:  # noqa: ANN401 - whatever the pickle holds
    return _AllowListed(file).load()


def _read_storage(file: BinaryIO, storage: _Storage) -> NDArray[Any]:
    length = int.from_bytes(file.read(8), "little")
    if length != storage.length:
        raise ValueError(f"storage {storage.key} has {length} elements, but its tensor says {storage.length}")
    return np.frombuffer(file.read(length * storage.dtype.itemsize), storage.dtype)


def _view(tensor: _Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    """Lay a tensor over its storage; strides need not be those of a C-ordered array."""
    last = tensor.offset + sum(
        (size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True)
    )
    if not 0 <= tensor.offset <= last < len(storage):
        raise ValueError(
            f"a tensor of shape {tensor.shape} reaches past its storage of {len(storage)} elements"
        )
    steps = [step * storage.itemsize for step in tensor.stride]
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, steps, writeable=False)
    return np.ascontiguousarray(view).reshape(tensor.shape)


def _rebuild(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> _Tensor:
    return _Tensor(storage, offset, shape, stride)


class _AllowListed(pickle.Unpickler):
    """An unpickler for which only tensors, storages and ordered dicts exist."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - the signature is pickle's
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not on the list of what a weights file may name")

    def persistent_load(self, pid: Any) -> _Storage:  # noqa: ANN401 - the signature is pickle's
        kind, dtype, key, _device, length, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"persistent id {pid!r} is not a whole storage")
        return _Storage(dtype, key, length)
