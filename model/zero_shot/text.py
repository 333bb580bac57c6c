"""A text encoder: phrases to embeddings, by the tokenizer that it comes with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from model.tagger.manifest import ManifestError
from model.zero_shot.encoder_files import TEXT_TENSORS, beside, embedding_tensor, open_session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TOKENIZER = "tokenizer.json"
_IDS, _MASK = "input_ids", "attention_mask"
_PADDING = ("<pad>", "[PAD]", "<|endoftext|>", "</s>")
_TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class TextEncoder:
    """An ONNX graph that takes token ids, and the tokenizer that makes them."""

    def __init__(
        self,
        graph: Path,
        tokenizer: Path | None = None,
        *,
        output: str | None = None,
        length: int | None = None,
    ) -> None:
        """Load both.

        Args:
            graph: Takes ``input_ids``, and maybe ``attention_mask``.
            tokenizer: A ``tokenizer.json``; None: the one beside the graph, or one folder above.
            output: The tensor that is the embedding; None: by its usual name.
            length: Tokens that each phrase is filled up to; None: as the graph or the tokenizer says.

        Raises:
            ManifestError: One of them cannot be used.
        """
        path = tokenizer or beside(graph, TOKENIZER)
        if path is None:
            raise ManifestError(f"no {TOKENIZER} beside {graph}: name the model's own with --tokenizer")
        self._session = open_session(graph)
        self._graph = graph
        self._output = embedding_tensor(self._session, graph, TEXT_TENSORS, output)
        self._inputs = {node.name: node for node in self._session.get_inputs()}
        unknown = self._inputs.keys() - {_IDS, _MASK}
        if _IDS not in self._inputs or unknown:
            cure = f"export the text encoder alone, with {_IDS} and {_MASK}"
            raise ManifestError(f"{graph} takes {', '.join(self._inputs)}: {cure}")
        self._tokenizer = _tokenizer(path)
        self._fill_up(length)

    def encode(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Embed phrases: float32, shape (phrases, numbers)."""
        encoded = self._tokenizer.encode_batch(list(phrases))
        columns = {
            _IDS: [each.ids for each in encoded],
            _MASK: [each.attention_mask for each in encoded],
        }
        feed = {name: np.array(columns[name], _TYPES[node.type]) for name, node in self._inputs.items()}
        (found,) = self._session.run([self._output], feed)
        if found.ndim != 2 or len(found) != len(phrases):  # noqa: PLR2004 - a row for each
            cure = "name the embedding of the whole text with --text-output"
            raise ManifestError(f"{self._graph} gives {self._output} of shape {list(found.shape)}: {cure}")
        embeddings: NDArray[np.float32] = found.astype(np.float32)
        return embeddings

    def _fill_up(self, length: int | None) -> None:
        """Phrases of one batch get one length."""
        fixed = self._inputs[_IDS].shape[-1]
        length = length or (fixed if isinstance(fixed, int) else None)
        set_up = self._tokenizer.padding or {}
        if length is None:
            length = set_up.get("length")
        if length is not None:
            self._tokenizer.enable_truncation(length)
        if set_up and length == set_up.get("length"):
            return
        known = (token for token in _PADDING if self._tokenizer.token_to_id(token) is not None)
        token = set_up.get("pad_token") or next(known, None)
        if token is None:
            rule = f"it says nothing of padding, and has none of {', '.join(_PADDING)}"
            raise ManifestError(f"the tokenizer of {self._graph} cannot be used: {rule}; add `padding` to it")
        pad = set_up.get("pad_id", self._tokenizer.token_to_id(token))
        self._tokenizer.enable_padding(pad_id=pad, pad_token=token, length=length)


def _tokenizer(path: Path) -> Any:  # noqa: ANN401 - an optional library
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415 - an extra, which workers do without
    except ImportError as error:
        cure = "pip install 'tagstream[zero-shot]'"
        raise ManifestError(f"{path} needs the library tokenizers, which is not installed: {cure}") from error
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise ManifestError(f"{path} cannot be read ({error!s:.100}): take the model's own") from error
