"""The embedded model from its parts: a language model, the backbone, and a projector."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from taskvectors.base.files import folder_written_whole, write_json
from taskvectors.models.checkpoint import revision_of
from taskvectors.models.embedded import (
    EmbeddedConfig,
    EmbeddedForConditionalGeneration,
    EmbeddedImageProcessor,
    EmbeddedProcessor,
)
from taskvectors.models.foreign import load_tokenizer
from taskvectors.models.weights import load_weights
from taskvectors.prepare.backbone import load_backbone
from taskvectors.record.loaded import LoadedModel, report_loaded

IMAGE_TOKENS = 5


def name_table(embed: nn.Module, tokenizer: PreTrainedTokenizerBase, names: list[str]) -> Tensor:
    """The language model's embeddings of " " + name: (names, IMAGE_TOKENS, width).

    Shorter names are filled up with newlines on the left; longer ones lose their end.
    """
    newline = tokenizer("\n")["input_ids"]
    rows = []
    for name in names:
        ids = tokenizer(" " + name)["input_ids"][:IMAGE_TOKENS]
        rows.append(newline * (IMAGE_TOKENS - len(ids)) + ids)
    return embed(torch.tensor(rows)).detach()


def load_language_model(folder: Path) -> tuple[PreTrainedModel, EmbeddedProcessor]:
    """The language model of a checkpoint folder, and the processor of a model that has it."""
    language_model = load_weights(AutoModelForCausalLM, folder, "float32")
    tokenizer = load_tokenizer(folder)
    return language_model, EmbeddedProcessor(EmbeddedImageProcessor(), tokenizer, IMAGE_TOKENS)


def assemble(
    language_model: PreTrainedModel, processor: EmbeddedProcessor, **sizes: Any
) -> EmbeddedForConditionalGeneration:
    """The language model with the backbone, an untrained vision tower and an untrained projector.

    ``sizes`` are those fields of `EmbeddedConfig` that are not its defaults.
    """
    config = EmbeddedConfig(
        text_config=language_model.config,
        tokens_per_image=IMAGE_TOKENS,
        image_token_id=processor.tokenizer.get_vocab()[processor.image_token],
        architectures=["EmbeddedForConditionalGeneration"],
        **sizes,
    )
    model = EmbeddedForConditionalGeneration(config)
    model.vision_tower.backbone = load_backbone()
    model.language_model.load_state_dict(language_model.state_dict())
    return model


def save(
    model: EmbeddedForConditionalGeneration,
    processor: EmbeddedProcessor,
    language_model: Path,
    naming: dict[str, Any],
    out: Path,
) -> None:
    """Write the checkpoint folder ``out``, with ``naming.json``: how well it names held-out images,
    and by which kind of vision tower."""
    model.vision_tower.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    revision = revision_of(language_model)
    loaded = LoadedModel(language_model.name, revision, "float32", None, "pil", [])
    report_loaded(loaded, str(model.device))
    with folder_written_whole(out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        write_json(folder / "naming.json", naming)
