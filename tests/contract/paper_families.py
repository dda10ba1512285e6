"""Language models, the embedded model and the paper's models, as tiny checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import transformers as hf
from torch import nn
from transformers import PreTrainedTokenizerFast

from taskvectors.models.embedded import (
    EmbeddedConfig,
    EmbeddedForConditionalGeneration,
    EmbeddedImageProcessor,
    EmbeddedProcessor,
)

from . import vocabulary
from .tiny import LAYERS, VISION, WIDTH, Family, save, save_parts, text_sizes


def llama(folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
    tokenizer = tokenizer or vocabulary.sentencepiece([])
    save(folder, hf.LlamaForCausalLM(hf.LlamaConfig(**text_sizes(tokenizer))), tokenizer)


def mistral(folder: Path) -> None:
    tokenizer = vocabulary.sentencepiece([])
    config = hf.MistralConfig(**text_sizes(tokenizer), sliding_window=9)
    save(folder, hf.MistralForCausalLM(config), tokenizer)


def gpt2(folder: Path) -> None:
    tokenizer = vocabulary.byte_level([])
    config = hf.GPT2Config(
        vocab_size=len(tokenizer), n_embd=WIDTH, n_layer=LAYERS, n_head=4, n_positions=256
    )
    save(folder, hf.GPT2LMHeadModel(config), tokenizer)


def gemma2(folder: Path) -> None:
    tokenizer = vocabulary.sentencepiece([])
    sizes = text_sizes(tokenizer, head_dim=8, query_pre_attn_scalar=8)
    config = hf.Gemma2Config(**sizes, sliding_window=9, final_logit_softcapping=30.0)
    save(folder, hf.Gemma2ForCausalLM(config), tokenizer)


def gptj(folder: Path) -> None:
    tokenizer = vocabulary.byte_level([])
    config = hf.GPTJConfig(
        vocab_size=len(tokenizer), n_embd=WIDTH, n_layer=LAYERS, n_head=4, rotary_dim=4
    )
    save(folder, hf.GPTJForCausalLM(config), tokenizer)


def bloom(folder: Path) -> None:
    tokenizer = vocabulary.byte_level([])
    config = hf.BloomConfig(vocab_size=len(tokenizer), hidden_size=WIDTH, n_layer=LAYERS, n_head=4)
    save(folder, hf.BloomForCausalLM(config), tokenizer)


def embedded(folder: Path, names: Sequence[str] = ("Japan", "France", "Peru")) -> None:
    tokenizer = vocabulary.byte_level(["<reponame>"])
    config = EmbeddedConfig(
        text_config={"model_type": "llama", **text_sizes(tokenizer)},
        names=names,
        tokens_per_image=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<reponame>"),
    )
    model = EmbeddedForConditionalGeneration(config)
    for table in model.projector.buffers():
        nn.init.normal_(table)
    processor = EmbeddedProcessor(EmbeddedImageProcessor(), tokenizer, tokens_per_image=2)
    save(folder, model, processor)


def embedded_open(folder: Path) -> None:
    embedded(folder, names=())


def llava(folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
    tokenizer = tokenizer or vocabulary.sentencepiece(["<image>"], image_token="<image>")
    config = hf.LlavaConfig(
        vision_config=hf.CLIPVisionConfig(**VISION, image_size=28, patch_size=14),
        text_config=hf.LlamaConfig(**text_sizes(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
    )
    images = hf.CLIPImageProcessor(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    )
    # As in the first files on the hub, the processor is not told of the vision tower.
    save(folder, hf.LlavaForConditionalGeneration(config), hf.LlavaProcessor(images, tokenizer))


def idefics2(folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
    tokenizer = tokenizer or vocabulary.sentencepiece([])
    images = hf.Idefics2ImageProcessor(
        size={"shortest_edge": 28, "longest_edge": 56}, do_image_splitting=True
    )
    processor = hf.Idefics2Processor(images, tokenizer, image_seq_len=3)
    text = text_sizes(tokenizer, sliding_window=200)
    config = hf.Idefics2Config(
        text_config=hf.MistralConfig(**text),
        vision_config={**VISION, "image_size": 56, "patch_size": 14},
        perceiver_config={
            "hidden_size": WIDTH,
            "resampler_n_latents": 3,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 8,
            "num_key_value_heads": 1,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    save(folder, hf.Idefics2ForConditionalGeneration(config), processor)


def fuyu(folder: Path) -> None:
    tokenizer = vocabulary.sentencepiece(["|SPEAKER|", "|NEWLINE|", "|IMAGE|", "|ENDOFIMAGE|"])
    images = hf.FuyuImageProcessor(
        size={"height": 32, "width": 48}, patch_size={"height": 8, "width": 8}
    )
    sizes = text_sizes(tokenizer, head_dim=8)
    sizes.pop("num_key_value_heads")
    config = hf.FuyuConfig(
        text_config={"model_type": "persimmon", **sizes},
        patch_size=8,
        image_token_id=tokenizer.convert_tokens_to_ids("|SPEAKER|"),
    )
    model = hf.FuyuForCausalLM(config)
    save_parts(folder, model, images, tokenizer, processor_class="MFuyuProcessor")


FAMILIES = {
    "llama": Family(llama, images=False),
    "mistral": Family(mistral, images=False),
    "gpt2": Family(gpt2, images=False),
    "gptj": Family(gptj, images=False),
    "gemma2": Family(gemma2, images=False),
    "bloom": Family(bloom, images=False),
    "embedded": Family(embedded),
    "embedded_open": Family(embedded_open),
    "llava": Family(llava),
    "idefics2": Family(idefics2),
    "fuyu": Family(fuyu, processed=False),
}
