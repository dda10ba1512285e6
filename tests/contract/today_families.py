"""Today's vision-and-language models, as tiny checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers as hf
from transformers import BaseImageProcessor, PreTrainedConfig, PreTrainedTokenizerFast

from . import vocabulary
from .tiny import VISION, WIDTH, Family, save, save_parts, text_sizes


def idefics3(folder: Path) -> None:
    images, tokenizer, config = idefics3_parts(hf.Idefics3ImageProcessor, hf.Idefics3Config)
    processor = hf.Idefics3Processor(images, tokenizer, image_seq_len=4)
    save(folder, hf.Idefics3ForConditionalGeneration(config), processor)


def smolvlm(folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
    parts = idefics3_parts(hf.SmolVLMImageProcessor, hf.SmolVLMConfig, tokenizer)
    images, tokenizer, config = parts
    model = hf.SmolVLMForConditionalGeneration(config)
    save_parts(folder, model, images, tokenizer, image_seq_len=4)


IDEFICS_FRAMES = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"]


def idefics3_parts(
    images_class: type, config_class: type, tokenizer: PreTrainedTokenizerFast | None = None
) -> tuple[BaseImageProcessor, PreTrainedTokenizerFast, PreTrainedConfig]:
    """What Idefics3 and SmolVLM have in common."""
    tokenizer = tokenizer or vocabulary.byte_level(IDEFICS_FRAMES)
    config = config_class(
        text_config={"model_type": "llama", **text_sizes(tokenizer)},
        vision_config={**VISION, "image_size": 28, "patch_size": 7},
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    images = images_class(size={"longest_edge": 56}, max_image_size={"longest_edge": 28})
    return images, tokenizer, config


QWEN_FRAMES = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]


def qwen_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """The tokens that a Qwen configuration names."""
    names = ["image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id"]
    return dict(zip(names, tokenizer.convert_tokens_to_ids(QWEN_FRAMES), strict=True))


def qwen_images(patch: int) -> Any:
    """Up to four patches a side, merged two by two."""
    side = 4 * patch
    return hf.Qwen2VLImageProcessor(
        patch_size=patch, size={"shortest_edge": side * side // 4, "longest_edge": side * side}
    )


def qwen2_vl(folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
    tokenizer = tokenizer or vocabulary.byte_level(QWEN_FRAMES)
    vision = {"depth": 2, "embed_dim": 16, "num_heads": 2, "hidden_size": WIDTH, "patch_size": 8}
    config = hf.Qwen2VLConfig(
        text_config=text_sizes(
            tokenizer, rope_parameters={"rope_type": "default", "mrope_section": [1, 1, 2]}
        ),
        vision_config=vision,
        **qwen_ids(tokenizer),
    )
    save_parts(folder, hf.Qwen2VLForConditionalGeneration(config), qwen_images(8), tokenizer)


def qwen2_5_vl(folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
    tokenizer = tokenizer or vocabulary.byte_level(QWEN_FRAMES)
    vision = {
        "depth": 2,
        "hidden_size": 16,
        "num_heads": 2,
        "intermediate_size": 24,
        "out_hidden_size": WIDTH,
        "patch_size": 8,
        "window_size": 16,
        "fullatt_block_indexes": [1],
    }
    config = hf.Qwen2_5_VLConfig(
        text_config=text_sizes(
            tokenizer, rope_parameters={"rope_type": "default", "mrope_section": [1, 1, 2]}
        ),
        vision_config=vision,
        **qwen_ids(tokenizer),
    )
    save_parts(folder, hf.Qwen2_5_VLForConditionalGeneration(config), qwen_images(8), tokenizer)


def qwen3_vl(folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
    tokenizer = tokenizer or vocabulary.byte_level(QWEN_FRAMES)
    vision = {
        "depth": 3,
        "hidden_size": 16,
        "num_heads": 2,
        "intermediate_size": 24,
        "out_hidden_size": WIDTH,
        "patch_size": 8,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0, 1],
    }
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    config = hf.Qwen3VLConfig(
        text_config=text_sizes(tokenizer, head_dim=8, rope_parameters=rope),
        vision_config=vision,
        **qwen_ids(tokenizer),
    )
    save_parts(folder, hf.Qwen3VLForConditionalGeneration(config), qwen_images(8), tokenizer)


GEMMA_FRAMES = {
    "boi_token": "<start_of_image>",
    "eoi_token": "<end_of_image>",
    "image_token": "<image_soft_token>",
}


def gemma3(
    folder: Path, tokenizer: PreTrainedTokenizerFast | None = None, image_tokens: int = 4
) -> None:
    tokenizer = tokenizer or vocabulary.sentencepiece([*GEMMA_FRAMES.values()], **GEMMA_FRAMES)
    images = hf.Gemma3ImageProcessor(size={"height": 28, "width": 28})
    sizes = text_sizes(tokenizer, head_dim=8, query_pre_attn_scalar=8, sliding_window=6)
    config = hf.Gemma3Config(
        text_config={
            **sizes,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
        vision_config={**VISION, "image_size": 28, "patch_size": 7},
        mm_tokens_per_image=image_tokens,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
    )
    processor = hf.Gemma3Processor(images, tokenizer, image_seq_length=image_tokens)
    save(folder, hf.Gemma3ForConditionalGeneration(config), processor)


INTERNVL_FRAMES = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}


def internvl(folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
    frames = INTERNVL_FRAMES
    tokenizer = tokenizer or vocabulary.byte_level([*frames.values()], **frames)
    config = hf.InternVLConfig(
        text_config={"model_type": "qwen2", **text_sizes(tokenizer)},
        vision_config={**VISION, "image_size": 28, "patch_size": 7},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    images = hf.GotOcr2ImageProcessor(size={"height": 28, "width": 28})
    model = hf.InternVLForConditionalGeneration(config)
    save_parts(folder, model, images, tokenizer, image_seq_length=4)


def llava_onevision(folder: Path) -> None:
    tokenizer = vocabulary.byte_level(["<image>", "<video>"])
    config = hf.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **text_sizes(tokenizer)},
        vision_config={
            "model_type": "siglip_vision_model",
            **VISION,
            "image_size": 28,
            "patch_size": 7,
            "vision_use_head": False,
        },
        image_grid_pinpoints=[[28, 56], [56, 28], [56, 56]],
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
    )
    images = hf.LlavaOnevisionImageProcessor(
        size={"height": 28, "width": 28}, image_grid_pinpoints=[[28, 56], [56, 28], [56, 56]]
    )
    model = hf.LlavaOnevisionForConditionalGeneration(config)
    settings = {"num_image_tokens": 16, "vision_feature_select_strategy": "full"}
    save_parts(folder, model, images, tokenizer, **settings)


PIXTRAL_FRAMES = ["[IMG]", "[IMG_BREAK]", "[IMG_END]"]


def pixtral(folder: Path) -> None:
    tokenizer = vocabulary.byte_level(PIXTRAL_FRAMES)
    config = hf.LlavaConfig(
        text_config={"model_type": "mistral", **text_sizes(tokenizer)},
        vision_config={"model_type": "pixtral", **VISION, "image_size": 32, "patch_size": 8},
        image_token_id=tokenizer.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    images = hf.PixtralImageProcessor(size={"longest_edge": 32}, patch_size=8)
    processor = hf.PixtralProcessor(images, tokenizer, patch_size=8)
    save(folder, hf.LlavaForConditionalGeneration(config), processor)


def mistral3(folder: Path) -> None:
    tokenizer = vocabulary.byte_level(PIXTRAL_FRAMES)
    config = hf.Mistral3Config(
        text_config={"model_type": "mistral", **text_sizes(tokenizer)},
        vision_config={"model_type": "pixtral", **VISION, "image_size": 32, "patch_size": 8},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
        vision_feature_layer=-1,
    )
    images = hf.PixtralImageProcessor(size={"longest_edge": 32}, patch_size=8)
    processor = hf.PixtralProcessor(images, tokenizer, patch_size=8, spatial_merge_size=2)
    save(folder, hf.Mistral3ForConditionalGeneration(config), processor)


def chameleon(folder: Path) -> None:
    images = [f"IMGIMG{letter}Z" for letter in "ABCDEFGH"]
    frames = ["<image>", "<racm3:break>", "<eoss>", *images]
    tokenizer = vocabulary.byte_level(frames)
    tokenizer.sep_token = "<eoss>"
    config = hf.ChameleonConfig(
        **text_sizes(tokenizer),
        vocabulary_map=tokenizer.get_vocab(),
        vq_config={
            "embed_dim": 8,
            "num_embeddings": len(images),
            "latent_channels": 8,
            "resolution": 8,
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_res_blocks": 1,
        },
    )
    images = hf.ChameleonImageProcessor(
        size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8}
    )
    processor = hf.ChameleonProcessor(images, tokenizer, image_seq_length=16)
    save(folder, hf.ChameleonForConditionalGeneration(config), processor)


def mllama(folder: Path) -> None:
    tokenizer = vocabulary.sentencepiece(["<|image|>"])
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "attention_heads": 2,
        "intermediate_layers_indices": [0],
        "vision_output_dim": 32,
        "image_size": 28,
        "patch_size": 14,
    }
    config = hf.MllamaConfig(
        text_config={**text_sizes(tokenizer), "cross_attention_layers": [1]},
        vision_config=vision,
        image_token_index=tokenizer.convert_tokens_to_ids("<|image|>"),
    )
    images = hf.MllamaImageProcessor(size={"height": 28, "width": 28}, max_image_tiles=4)
    model = hf.MllamaForConditionalGeneration(config)
    save(folder, model, hf.MllamaProcessor(images, tokenizer))


def minicpm(folder: Path) -> None:
    frames = ("image", "video", "image_start", "image_end", "slice_start", "slice_end")
    named = {f"{name}_token": f"<{name}>" for name in (*frames, "image_id_start", "image_id_end")}
    tokenizer = vocabulary.byte_level(list(named.values()), **named)
    recurrent = {
        "layer_types": ["linear_attention", "full_attention", "linear_attention"],
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
    }
    text = text_sizes(tokenizer, head_dim=8)
    config = hf.MiniCPMV4_6Config(
        text_config={"model_type": "qwen3_5_text", **text, **recurrent},
        vision_config={**VISION, "image_size": 56, "patch_size": 7},
        insert_layer_id=0,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<video>"),
    )
    images = hf.MiniCPMV4_6ImageProcessor(scale_resolution=56, patch_size=7)
    save_parts(folder, hf.MiniCPMV4_6ForConditionalGeneration(config), images, tokenizer)


FAMILIES = {
    "idefics3": Family(idefics3),
    "smolvlm": Family(smolvlm, needs=("num2words",)),
    "qwen2_vl": Family(qwen2_vl),
    "qwen2_5_vl": Family(qwen2_5_vl),
    "qwen3_vl": Family(qwen3_vl),
    "gemma3": Family(gemma3),
    "internvl": Family(internvl),
    "llava_onevision": Family(llava_onevision, nested=True),
    "pixtral": Family(pixtral, needs=("torchvision",)),
    "mistral3": Family(mistral3, needs=("torchvision",)),
    "minicpmv4_6": Family(minicpm, heads=False),
    "mllama": Family(mllama, twice=True, skips=True),
    "chameleon": Family(chameleon, options={"return_for_text_completion": True}),
}
