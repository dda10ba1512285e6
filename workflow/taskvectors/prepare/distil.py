"""Distillation: what the language model makes of an image is drawn to what it makes of the name.

In contexts that are no task of the study, the frozen language model continues the *written* name of
a training image; the vision tower and the projector then learn image tokens after which its
residual streams and its next tokens, at the same continuation, are the same. What follows an image
is so used as what follows its name, whether it asks to repeat it, to go on about it, or to answer
about it.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerBase

# How deep residual streams are compared, beside the last one after its norm.
DEPTHS = (1 / 3, 3 / 5, 4 / 5)
DIVERGENCE = 0.5


@dataclass(frozen=True)
class Surroundings:
    """What stands before an image and after it, and how many tokens the model goes on for."""

    before: str
    after: str
    tokens: int


# None has a question, an exemplar's category or an answer of the study's tasks or of the neutral
# questions.
SURROUNDINGS = (
    Surroundings(
        "Q: Sofa\nA: Sofa\n\nQ: Blue Lamp\nA: Blue Lamp\n\nQ: Key\nA: Key\n\nQ:",
        "\nA:",
        6,
    ),
    Surroundings("Q:", "\nA:", 8),
    Surroundings("I saw", " and", 8),
    Surroundings("\n", " is a kind of", 8),
    Surroundings("Here is a list of things: table, candle,", ",", 8),
    Surroundings(
        "User: What is this?\nAssistant: It is", ".\nUser: Tell me more about it.\nAssistant:", 12
    ),
    Surroundings("A short story about", ".\n", 10),
    Surroundings("Q: chair\nA: chairs\n\nQ: rose\nA: roses\n\nQ: box\nA: boxes\n\nQ:", "\nA:", 5),
    Surroundings("Q: chair\nA: CHAIR\n\nQ: rose\nA: ROSE\n\nQ: hammer\nA: HAMMER\n\nQ:", "\nA:", 6),
    Surroundings("Q: chair\nA: chaise\n\nQ: bed\nA: lit\n\nQ: hammer\nA: marteau\n\nQ:", "\nA:", 6),
    Surroundings("Q: chair\nA: wood\n\nQ: ring\nA: gold\n\nQ: window\nA: glass\n\nQ:", "\nA:", 4),
    Surroundings(
        "Q: chair\nA: sit on it\n\nQ: book\nA: read it\n\nQ: pen\nA: write\n\nQ:", "\nA:", 6
    ),
    Surroundings(
        "Q: chair\nA: a chair has four legs\n\nQ: rose\nA: a rose has thorns\n\nQ:", "\nA:", 10
    ),
)


@dataclass(frozen=True)
class Lesson:
    """One context with what the model wrote after each name.

    ``ids`` (names, tokens) are the words after the image and the continuation; ``streams``
    (names, kept layers, tokens, width) the residual streams there, float16.
    """

    around: Surroundings
    ids: Tensor
    streams: Tensor


class FrozenModel:
    """A frozen language model that goes on after a context, from ids or from embeddings."""

    def __init__(
        self,
        language_model: Any,
        tokenizer: PreTrainedTokenizerBase,
        device: torch.device,
    ):
        """``language_model`` is moved to the ``device``."""
        self.model = language_model.requires_grad_(False).to(device)
        self.tokenizer = tokenizer
        self.embed = language_model.get_input_embeddings()
        depth = language_model.config.num_hidden_layers
        self.layers = [round(share * depth) for share in DEPTHS]
        self.prefixes: dict[str, DynamicCache] = {}

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    @torch.no_grad()
    def prefix(self, text: str) -> DynamicCache:
        """The keys and values of a context, computed once."""
        if text not in self.prefixes:
            ids = torch.tensor([self.ids(text)], device=self.model.device)
            self.prefixes[text] = self.model(input_ids=ids, use_cache=True).past_key_values
        return self.prefixes[text]

    def cache(self, around: Surroundings, rows: int) -> DynamicCache:
        """The context's keys and values for so many rows, to go on from."""
        cache = deepcopy(self.prefix(around.before))
        cache.batch_repeat_interleave(rows)
        return cache

    def streams(self, around: Surroundings, embedded: Tensor) -> list[Tensor]:
        """Residual streams at `DEPTHS`, and the last one's after its norm, each (rows, tokens,
        width), at embeddings (rows, tokens, width) that follow a context."""
        out = self.model.get_decoder()(
            inputs_embeds=embedded,
            past_key_values=self.cache(around, len(embedded)),
            output_hidden_states=True,
        )
        return [*(out.hidden_states[layer + 1] for layer in self.layers), out.last_hidden_state]

    @torch.no_grad()
    def lesson(self, around: Surroundings, names: Sequence[str]) -> Lesson:
        """What the model writes greedily after each written name, and its streams there."""
        before, after = self.ids(around.before), self.ids(around.after)
        by_length: dict[int, list[int]] = {}
        named = [self.ids(" " + name) for name in names]
        for number, ids in enumerate(named):
            by_length.setdefault(len(ids), []).append(number)
        length = len(after) + around.tokens
        device, width = self.model.device, self.embed.embedding_dim
        said = torch.empty((len(names), length), dtype=torch.long, device=device)
        streams = torch.empty(
            (len(names), len(self.layers) + 1, length, width), dtype=torch.float16, device=device
        )
        for skipped, numbers in by_length.items():
            rows = torch.tensor(
                [before + named[number] + after for number in numbers], device=device
            )
            written = self.model.generate(
                rows,
                attention_mask=torch.ones_like(rows),
                past_key_values=self.cache(around, len(rows)),
                min_new_tokens=around.tokens,
                max_new_tokens=around.tokens,
                do_sample=False,
            )[:, len(before) :]
            said[numbers] = written[:, skipped:]
            found = self.streams(around, self.embed(written))
            streams[numbers] = torch.stack([one[:, skipped:] for one in found], 1).half()
        return Lesson(around, said, streams)

    def loss(self, lesson: Lesson, images: Tensor, names: Tensor) -> Tensor:
        """How far the model is after image tokens (rows, tokens, width) from where it is after the
        names: the mean squared difference of residual streams, each layer's over its own mean
        square, and the divergence of next-token distributions in nats, `DIVERGENCE` of it."""
        embedded = torch.cat([images, self.embed(lesson.ids[names])], dim=1)
        found = [one[:, images.shape[1] :] for one in self.streams(lesson.around, embedded)]
        wanted = lesson.streams[names].float().unbind(1)
        away = [
            (stream - aim).square().mean() / aim.square().mean()
            for stream, aim in zip(found, wanted, strict=True)
        ]
        divergence = F.kl_div(
            self.next_tokens(found[-1]), self.next_tokens(wanted[-1]), log_target=True,
            reduction="batchmean",
        )  # fmt: skip
        return torch.stack(away).mean() + DIVERGENCE * divergence

    def next_tokens(self, normed: Tensor) -> Tensor:
        """Last residual streams after their norm (rows, tokens, width) to log-probabilities
        (rows x tokens, vocabulary)."""
        return F.log_softmax(self.model.get_output_embeddings()(normed).flatten(0, 1), dim=-1)
