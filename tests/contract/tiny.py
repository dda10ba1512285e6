"""What the tiny checkpoints of all families have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoTokenizer,
    BaseImageProcessor,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)

WIDTH, LAYERS = 32, 3


@dataclass(frozen=True)
class Family:
    """How to save one family's tiny checkpoint, and what it can do.

    ``save`` takes a folder and, in families that are held with real tokenizers, one of those.

    ``processed`` says whether the family's own processor can lay out prompts with several
    images, so that it can be compared with ours; ``options`` are what it then needs.
    ``nested`` says that images of one prompt must be a list in a list to count as such.
    ``twice`` says that its own processor begins a prompt with images twice.
    ``skips`` says that the model leaves layers out where a prompt has no image. ``heads`` says that
    all of its layers have attention heads.
    ``needs`` are packages without which the family cannot be loaded.
    """

    save: Callable[..., None]
    images: bool = True
    processed: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    nested: bool = False
    twice: bool = False
    skips: bool = False
    heads: bool = True
    needs: tuple[str, ...] = ()


def text_sizes(tokenizer: PreTrainedTokenizerFast, **changes: Any) -> dict[str, Any]:
    """The sizes of a tiny decoder."""
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    return {**sizes, **changes}


VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def randomise(model: nn.Module) -> nn.Module:
    """Weights large enough that a wrong token, layer or mask shows in the logits."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.data = noise / fan_in**0.5
        else:
            parameter.data = parameter.data + 0.2 * noise
    for table in model.modules():
        if isinstance(table, nn.Embedding):
            table.weight.data *= table.embedding_dim**0.5
    return model.eval()


def save(
    folder: Path, model: nn.Module, processor: ProcessorMixin | PreTrainedTokenizerFast
) -> None:
    """Write a checkpoint folder as `save_pretrained` does for a real one."""
    torch.manual_seed(0)
    randomise(model).save_pretrained(folder)
    processor.save_pretrained(folder)
    # Of some architectures transformers builds the tokenizer by rules of its own, which a real
    # checkpoint's tokenizer.json has, too.
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)


def save_parts(
    folder: Path,
    model: nn.Module,
    images: BaseImageProcessor,
    tokenizer: PreTrainedTokenizerFast,
    **settings: Any,
) -> None:
    """The same without making the processor, whose video part needs torchvision."""
    save(folder, model, tokenizer)
    images.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps(settings))
