"""What an adapter is: how a prompt becomes tokens and features, and where the layers are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import Cache

from taskvectors.base.errors import UserError
from taskvectors.models.boundary import (
    Token,
    cuts_change_nothing,
    last_within,
    tokens_apart,
    tokens_before,
    tokens_of,
)
from taskvectors.models.features import (
    FEATURE_BYTES,
    Embedded,
    ImageFeatures,
    Recent,
    feature_bytes,
    image_named,
)
from taskvectors.models.heads import Heads, find_heads
from taskvectors.models.parts import FINAL_NORMS, LAYERS, first_part
from taskvectors.models.unembedding import scaled, unembed
from taskvectors.study.prompts import ImageInput, Mark, Prompt, Text


@dataclass(frozen=True)
class Encoded:
    """A prompt as tokens.

    ``ids`` are token ids with every image's placeholders expanded; ``positions`` is
    (axes, tokens), one axis for ordinary models; ``marks`` maps a mark's name to the index
    of the last token before it; ``images`` are the paths in order, and ``image_ends``
    the index after each one's last placeholder. ``forced_boundary`` says whether the text was
    cut at a mark that the tokenizer would have merged with its neighbour; ``to_text`` that an
    answer to it goes on, where its first token shows no text, until it does.
    """

    ids: list[int]
    positions: Tensor
    marks: dict[str, int]
    images: tuple[str, ...] = ()
    image_ends: tuple[int, ...] = ()
    forced_boundary: bool = False
    to_text: bool = False


class Adapter:
    """A loaded model behind the interface that the engine uses.

    The defaults fit any Hugging Face model with a decoder of residual blocks, a fast
    tokenizer and one placeholder token repeated per image feature. A family overrides what
    differs; it passes the contract tests or it does not ship.
    """

    #: The text that stands for an image before its placeholders are expanded.
    image_text: str | None = None
    #: Whether the decoder takes a 4-D attention mask, so that one row can hold branches. Where
    #: it does not, `taskvectors.engine.cached` answers in `taskvectors.engine.sweep`'s stead.
    branching: bool = True
    #: Whether a branch may begin at a later layer than the first, where a row grows longer. Not in
    #: a decoder that adds something to certain tokens between its layers.
    growing: bool = True

    def __init__(self, model: nn.Module, processor: Any, name: str):
        """``processor`` is the checkpoint's own, or, of a model without images, its tokenizer."""
        self.model: Any = model.eval().requires_grad_(False)
        self.processor = processor
        self.tokenizer: Any = getattr(processor, "tokenizer", processor)
        self.name = name
        self.features = Recent(FEATURE_BYTES, feature_bytes)
        #: What was checked as it was loaded, where no contract test holds it.
        self.checked: str | None = None

    @classmethod
    def load(cls, folder: Path, name: str, dtype: str, device: str = "cpu") -> Self:
        """Load a checkpoint folder; ``dtype`` is one of `taskvectors.models.weights.DTYPES`."""
        raise NotImplementedError(f"{cls.__name__} does not say how a checkpoint is loaded")

    # -- what the records say of it --------------------------------------------------------

    @property
    def image_backend(self) -> str | None:
        """What decodes and resizes images (pil or torchvision); None where none are taken."""
        if self.image_text is None:
            return None
        images = self.processor.image_processor
        return getattr(images, "backend", type(images).__name__)

    def notes(self, folder: Path) -> list[str]:
        """Where the numbers differ from the checkpoint's own, or from published runs of it."""
        return []

    # -- the decoder ---------------------------------------------------------------------

    @cached_property
    def decoder(self) -> Any:
        """The module that maps embeddings to hidden states through all layers."""
        return self.model.get_decoder()

    @cached_property
    def layers(self) -> nn.ModuleList:
        """The decoder layers; layer l's output is the residual stream after it."""
        return first_part(self.decoder, LAYERS, self.name)

    @cached_property
    def final_norm(self) -> Any:
        """The norm between the last residual stream and the unembedding."""
        return first_part(self.decoder, FINAL_NORMS, self.name)

    @cached_property
    def heads(self) -> Heads:
        """Its attention heads. Raises `UserError` where they cannot be told apart."""
        return find_heads(list(self.layers), self.decoder.config, self.name)

    @cached_property
    def unembedding(self) -> Any:
        """The linear map from normed hidden states to token logits."""
        return self.model.get_output_embeddings()

    @cached_property
    def width(self) -> int:
        """Width of the residual stream."""
        return int(self.unembedding.weight.shape[1])

    @property
    def device(self) -> torch.device:
        return self.unembedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.unembedding.weight.dtype

    def logits(self, residual: Tensor) -> Tensor:
        """Last residual streams (..., width) to logits (..., vocabulary), float32."""
        return scaled(unembed(self.unembedding, self.final_norm(residual)), self.model.config)

    def decode(
        self,
        inputs: Embedded,
        positions: Tensor,
        mask: Tensor | None,
        cache: Cache | None = None,
    ) -> None:
        """Run the decoder once: what `embed` returned, positions (axes, rows, tokens) on the host,
        additive mask (rows, 1, tokens, tokens). Results are taken by hooks.

        With a ``cache`` its keys and values come before these tokens, and theirs are added; a
        single token that sees all of them needs no mask.
        """
        self.decoder(
            inputs_embeds=inputs.hidden,
            attention_mask=None if mask is None else self.layer_masks(mask, positions, inputs),
            position_ids=(positions[0] if len(positions) == 1 else positions).to(self.device),
            past_key_values=cache,
            use_cache=cache is not None,
        )

    def layer_masks(
        self, mask: Tensor, positions: Tensor, inputs: Embedded
    ) -> Tensor | dict[str, Tensor]:
        """The mask as the layers want it: by layer type where some look back only so far.

        A decoder that is given a 4-D mask adds no sliding window of its own, so it is added
        here, by positions, since a branch's index in its row is not its place in the prompt.
        """
        config = self.decoder.config
        window = getattr(config, "sliding_window", None)
        kinds = set(getattr(config, "layer_types", None) or [])
        if window is None or kinds == {"full_attention"}:
            return mask
        near = mask
        if int(positions.max()) >= window:
            place = positions[0].to(mask.device)
            far = place[:, None, :, None] - place[:, None, None, :] >= window
            near = mask.masked_fill(far, torch.finfo(mask.dtype).min)
        return {"full_attention": mask, "sliding_attention": near} if kinds else near

    # -- prompts -------------------------------------------------------------------------

    @cached_property
    def frame(self) -> tuple[str, str]:
        """The text before and after every image's own, in all templates."""
        return "", ""

    @cached_property
    def cuttable(self) -> bool:
        """Whether a prompt may be cut at a mark: pieces tokenised apart are those of the whole."""
        return cuts_change_nothing(self.tokenizer)

    @cached_property
    def pad_id(self) -> int:
        """A token id for padding; it is masked, so any does that is no image placeholder."""
        pad = self.tokenizer.pad_token_id or 0
        return pad if pad != self.placeholder_id else pad + 1

    @property
    def end_ids(self) -> frozenset[int]:
        """The token ids with which the model ends a text."""
        stated = self.model.generation_config.eos_token_id
        ids = stated if isinstance(stated, list) else [stated]
        return frozenset(i for i in [*ids, self.tokenizer.eos_token_id] if i is not None)

    @property
    def placeholder_id(self) -> int | None:
        """The token id whose embeddings are replaced by features, or None without images."""
        return None

    def image_string(self, image: str, number: int) -> str:
        """The text of one image with all its placeholders and frames.

        ``number`` counts the images before it in the prompt. The whole prompt is tokenised
        with this text in it, because a frame may merge with the text beside it.
        """
        raise UserError(
            f"the model {self.name} takes no images, but a prompt has {image}; "
            "choose text queries and text specifications for it."
        )

    def positions(self, ids: list[int], images: Sequence[str]) -> Tensor:
        """Position ids (axes, tokens) of a plain prompt."""
        return torch.arange(len(ids)).unsqueeze(0)

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a prompt's text."""
        return tokens_of(self.tokenizer, text)

    def encode(self, prompt: Prompt) -> Encoded:
        """Tokenise a whole prompt at once and find its marks and images.

        Where the tokenizer merges a delimiter with its neighbour the text is cut there. Raises
        `UserError` where that would change other tokens, and where a text has a placeholder.
        """
        text = ""
        images: list[str] = []
        ends: dict[str, int] = {}
        spans: list[tuple[int, int]] = []
        for segment in prompt:
            if isinstance(segment, Mark):
                ends[segment.name] = len(text)
            elif isinstance(segment, Text):
                text += segment.text
            elif isinstance(segment, ImageInput):
                start = len(text)
                text += self.image_string(segment.path, len(images))
                images.append(segment.path)
                spans.append((start, len(text)))
        tokens, marks, forced = self._bounded(text, ends)
        self._refuse_placeholders(tokens, spans)
        ids = [token for token, _, _ in tokens]
        return Encoded(
            ids,
            self.positions(ids, images),
            marks,
            tuple(images),
            tuple(self._image_end(tokens, *one) for one in zip(images, spans, strict=True)),
            forced,
        )

    def _bounded(self, text: str, ends: dict[str, int]) -> tuple[list[Token], dict[str, int], bool]:
        """A text's tokens, of which one ends at each mark; their indices; whether it was cut."""
        tokens, cuts = self.tokens(text), set[int]()
        marks = tokens_before(tokens, ends)
        while inside := [name for name in ends if name not in marks]:
            name, end = inside[0], ends[inside[0]]
            if not self.cuttable or end in cuts:
                raise UserError(
                    f"the tokenizer of {self.name} merges the {name} delimiter in "
                    f"{text[max(0, end - 12) : end + 12]!r} with its neighbour; "
                    "choose another template."
                )
            cuts |= {ends[name] for name in inside}
            tokens = tokens_apart(self.tokenizer, text, cuts)
            marks = tokens_before(tokens, ends)
        return tokens, marks, bool(cuts)

    def _refuse_placeholders(self, tokens: list[Token], spans: list[tuple[int, int]]) -> None:
        """Raise `UserError` where a text has a placeholder, which no image's features replace."""
        placeholder = self.placeholder_id
        if any(
            token == placeholder and not any(first <= start < last for first, last in spans)
            for token, start, _ in tokens
        ):
            raise UserError(
                f"a text of a prompt has {self.tokenizer.decode([placeholder])!r}, which stands "
                f"for an image in {self.name}; take it out of the entity, label or instruction."
            )

    def _image_end(self, tokens: list[Token], image: str, span: tuple[int, int]) -> int:
        """Index after the last placeholder within the characters of one image."""
        with image_named(self.name, image):
            return 1 + last_within(tokens, self.placeholder_id, span)

    def neighbourhood(self, ids: Sequence[int], index: int, radius: int = 3) -> str:
        """The decoded tokens around ``index``, that token itself between ``>`` and ``<``."""
        first = max(0, index - radius)
        tokens = [self.tokenizer.decode([token]) for token in ids[first : index + 1 + radius]]
        before, after = "".join(tokens[: index - first]), "".join(tokens[index - first + 1 :])
        return f"{before}>{tokens[index - first]}<{after}"

    # -- features ------------------------------------------------------------------------

    def image_features(self, images: Sequence[str]) -> Iterable[ImageFeatures]:
        """Features of images, one after the other."""
        raise UserError(f"the model {self.name} takes no images.")

    def see(self, images: Sequence[str]) -> None:
        """Compute the features of images that are not kept, and keep as many as may be."""
        self.features.fill(images, self.image_features)

    def embed(self, ids: Tensor, images: Sequence[str]) -> Embedded:
        """Token ids (rows, tokens) to input embeddings, features in the placeholders' stead.

        ``images`` are those of all rows, in order. An image's features are computed once
        and kept, up to `FEATURE_BYTES`. Raises `UserError` where placeholders and features differ
        in number.
        """
        places = torch.eq(ids, -1 if self.placeholder_id is None else self.placeholder_id)
        # A placeholder may lie outside the vocabulary; its own embedding is never used.
        embeddings = self.model.get_input_embeddings()(ids.masked_fill(places, 0).to(self.device))
        shown = self.shown(images, places)
        if shown:
            features = torch.cat([image.features for image in shown])
            # Found on the host: a mask on the GPU would have it wait to be counted.
            embeddings[places.nonzero().T.to(self.device).unbind()] = features.to(embeddings)
        return Embedded(embeddings, places.to(self.device), shown)

    def shown(self, images: Sequence[str], places: Tensor) -> tuple[ImageFeatures, ...]:
        """Features of images. Raises `UserError` where they are not as many as the ``places``."""
        shown = self.features.all_of(images, self.image_features)
        found = sum(map(len, shown))
        if int(places.sum()) != found:
            raise UserError(
                f"the model {self.name} has {int(places.sum())} image placeholders in a batch "
                f"but {found} features; its processor does not match its weights."
            )
        return tuple(shown)
