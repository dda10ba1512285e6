"""What an adapter is: how a prompt becomes tokens and features, and where the layers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taskvectors.errors import UserError
from taskvectors.prompts import Mark, Picture, Prompt, Text


@dataclass(frozen=True)
class Encoded:
    """A prompt as tokens.

    ``ids`` are token ids with every picture's placeholders expanded; ``positions`` is
    (axes, tokens), one axis for ordinary models; ``marks`` maps a mark's name to the index
    of the last token before it; ``pictures`` are the paths in order, and ``picture_ends``
    the index after each one's last token.
    """

    ids: list[int]
    positions: Tensor
    marks: dict[str, int]
    pictures: tuple[str, ...] = ()
    picture_ends: tuple[int, ...] = ()


class Adapter:
    """A loaded model behind the interface that the engine uses.

    The defaults fit any Hugging Face model with a decoder of residual blocks, a fast
    tokenizer and one placeholder token repeated per picture feature. A family overrides what
    differs; it passes the contract tests or it does not ship.
    """

    #: The text that stands for a picture before its placeholders are expanded.
    picture_text: str | None = None

    def __init__(self, model: nn.Module, tokenizer: Any, name: str):
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.features: dict[str, Tensor] = {}

    # -- the decoder ---------------------------------------------------------------------

    @property
    def decoder(self) -> nn.Module:
        """The module that maps embeddings to hidden states through all layers."""
        return self.model.get_decoder()

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder layers; layer l's output is block output l."""
        return self.decoder.layers

    @property
    def final_norm(self) -> nn.Module:
        """The norm between the last block output and the unembedding."""
        return self.decoder.norm

    @property
    def unembedding(self) -> nn.Module:
        """The linear map from normed hidden states to token logits."""
        return self.model.get_output_embeddings()

    @property
    def width(self) -> int:
        """Width of the residual stream."""
        return int(self.unembedding.weight.shape[1])

    @property
    def device(self) -> torch.device:
        return self.unembedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.unembedding.weight.dtype

    def logits(self, block_output: Tensor) -> Tensor:
        """Last block outputs (..., width) to logits (..., vocabulary)."""
        return self.unembedding(self.final_norm(block_output))

    def decode(self, embeddings: Tensor, positions: Tensor, mask: Tensor) -> None:
        """Run the decoder once: embeddings (rows, tokens, width), positions (axes, rows,
        tokens), additive mask (rows, 1, tokens, tokens). Results are taken by hooks."""
        self.decoder(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=positions[0] if len(positions) == 1 else positions,
            use_cache=False,
        )

    # -- prompts -------------------------------------------------------------------------

    @property
    def pad_id(self) -> int:
        """A token id for padding; it is masked, so any id does."""
        return self.tokenizer.pad_token_id or 0

    def picture_ids(self, picture: str) -> list[int]:
        """The token ids that stand for one picture, as many as it has features and frames."""
        raise UserError(
            f"the model {self.name} takes no pictures, but a prompt has {picture}; "
            "choose text queries and text specifications for it."
        )

    @property
    def placeholder_id(self) -> int | None:
        """The token id whose embeddings are replaced by features, or None without pictures."""
        return None

    def positions(self, ids: list[int], pictures: Sequence[str]) -> Tensor:
        """Position ids (axes, tokens) of a plain prompt."""
        return torch.arange(len(ids)).unsqueeze(0)

    def encode(self, prompt: Prompt) -> Encoded:
        """Tokenise a whole prompt at once and find its marks.

        Raises `UserError` where a mark falls inside a token, i.e. where the tokenizer merges
        a delimiter with its neighbour, so that there is no token to read or patch.
        """
        text, pictures, ends = "", [], {}
        for segment in prompt:
            if isinstance(segment, Mark):
                ends[segment.name] = len(text)
            elif isinstance(segment, Text):
                text += segment.text
            elif isinstance(segment, Picture):
                pictures.append(segment.path)
                text += self._picture_text(segment.path)
        tokens = self.tokenizer(text, return_offsets_mapping=True)
        picture_token = self.placeholder_id if pictures else None
        ids: list[int] = []
        index_at_end: dict[int, int] = {}
        picture_ends: list[int] = []
        for token, (_, end) in zip(tokens["input_ids"], tokens["offset_mapping"], strict=True):
            if token == picture_token:
                ids += self.picture_ids(pictures[len(picture_ends)])
                picture_ends.append(len(ids))
            else:
                ids.append(token)
            index_at_end[end] = len(ids) - 1
        marks = {}
        for name, end in ends.items():
            if end not in index_at_end:
                raise UserError(
                    f"the tokenizer of {self.name} merges the {name} delimiter in "
                    f"{text[max(0, end - 12) : end + 12]!r} with its neighbour; "
                    "choose another template."
                )
            marks[name] = index_at_end[end]
        positions = self.positions(ids, pictures)
        return Encoded(ids, positions, marks, tuple(pictures), tuple(picture_ends))

    def _picture_text(self, picture: str) -> str:
        if self.picture_text is None:
            self.picture_ids(picture)
        return str(self.picture_text)

    def neighbourhood(self, ids: Sequence[int], index: int, radius: int = 3) -> str:
        """The decoded tokens around ``index``, that token itself between ``>`` and ``<``."""
        tokens = [self.tokenizer.decode([token]) for token in ids]
        before = "".join(tokens[max(0, index - radius) : index])
        after = "".join(tokens[index + 1 : index + 1 + radius])
        return f"{before}>{tokens[index]}<{after}"

    # -- features ------------------------------------------------------------------------

    def picture_features(self, pictures: Sequence[str]) -> list[Tensor]:
        """Features of pictures, each (placeholders, width), in the decoder's input space."""
        raise UserError(f"the model {self.name} takes no pictures.")

    def embed(self, ids: Tensor, pictures: Sequence[str]) -> Tensor:
        """Token ids (rows, tokens) to input embeddings, features in the placeholders' stead.

        ``pictures`` are those of all rows, in order. A picture's features are computed once
        and kept. Raises `UserError` where placeholders and features differ in number.
        """
        embeddings = self.model.get_input_embeddings()(ids.to(self.device))
        if not pictures:
            return embeddings
        missing = [path for path in dict.fromkeys(pictures) if path not in self.features]
        if missing:
            found = self.picture_features(missing)
            self.features.update(zip(missing, (f.cpu() for f in found), strict=True))
        features = torch.cat([self.features[path] for path in pictures]).to(embeddings)
        places = (ids == self.placeholder_id).to(self.device)
        if int(places.sum()) != len(features):
            raise UserError(
                f"the model {self.name} has {int(places.sum())} picture placeholders in a batch "
                f"but {len(features)} features; its processor does not match its weights."
            )
        embeddings[places] = features
        return embeddings
