"""What single families do beyond the contract."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from taskvectors.base.errors import UserError
from taskvectors.base.images import open_rgb
from taskvectors.engine.cached import cached_sweep
from taskvectors.engine.check import check_model
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.sweep import Site
from taskvectors.models.add.abilities import empty_adapter
from taskvectors.models.base import Adapter
from taskvectors.models.generic import GenericAdapter
from taskvectors.models.qwen import QwenAdapter
from taskvectors.study.prompts import QUERY, ImageInput, Template, Text, find_template, instruction

from . import today_families, vocabulary
from .families import FAMILIES
from .test_contract import CLOSE, logits_of, outputs, own_inputs, own_prompts
from .tiny import LAYERS, save, text_sizes

TEMPLATES = Path(__file__).parents[2] / "resources/templates.yaml"


def template_of(name: str) -> Template:
    return find_template(TEMPLATES, name)


@pytest.fixture
def tiny(tmp_path: Path, load) -> Callable[[str], Adapter]:
    """A family's tiny model."""

    def save_and_load(family: str) -> Adapter:
        FAMILIES[family].save(tmp_path)
        return load(tmp_path, family)

    return save_and_load


def test_fuyu_cuts_patches_as_its_image_processor_does(images, tiny):
    adapter = tiny("fuyu")
    processor = adapter.processor.image_processor
    found = processor([open_rgb(Path(images[0]))])
    pixels = found["images"][0][0]
    height = found["image_unpadded_heights"][0][0]
    width = found["image_unpadded_widths"][0][0]
    cut = pixels[:, : -(-height // 8) * 8, : -(-width // 8) * 8]
    # With torchvision, the image processor's own function takes a batch only.
    expected = processor.patchify_image(cut[None] if isinstance(cut, torch.Tensor) else cut)
    expected = torch.as_tensor(expected).reshape(-1, 192)
    torch.testing.assert_close(adapter.alone(images[0])["pixel_values"], expected)


def test_fuyu_lays_images_between_the_texts(images, tiny):
    adapter = tiny("fuyu")
    first, second = ImageInput(images[0]), ImageInput(images[1])
    encoded = adapter.encode((Text("Q:"), first, Text("\nA:b"), second, QUERY))
    text = "".join(adapter.tokenizer.convert_ids_to_tokens(encoded.ids))
    row = "|SPEAKER|" * 5 + "|NEWLINE|"
    assert text.startswith(f"<s>▁Q:image▁0:▁|IMAGE|{row}{row}")
    assert "|NEWLINE||ENDOFIMAGE|<s>▁<0x0A>A:bimage▁1:▁|IMAGE||SPEAKER|" in text
    assert encoded.image_ends[1] == len(encoded.ids) - 2


def ids_of(adapter: Adapter, text: str) -> list[int]:
    """The ids of a piece of text by itself, as Mantis' processor asks the tokenizer for them."""
    return adapter.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_fuyu_prompts_are_token_for_token_those_of_mantis(images, tiny):
    """As ``MFuyuProcessor`` of mantis-vl 0.0.5 makes them: a prompt without an image has no BOS;
    with one, each piece of text has it, and an image has none."""
    adapter = tiny("fuyu")
    named = adapter.tokenizer.convert_tokens_to_ids
    bos, text = named("<s>"), "Q:Japan\nA:Tokyo\n\nQ:"
    context = template_of("generic").exemplars([(Text("Japan"), "Tokyo")])
    asked = adapter.encode((*context, Text("Q:Peru\nA:"), QUERY))
    assert asked.ids == ids_of(adapter, text + "Peru\nA:")
    assert bos not in asked.ids
    assert adapter.encode(instruction("The capital:")).ids == ids_of(adapter, "The capital:")
    row = [named("|SPEAKER|")] * 5 + [named("|NEWLINE|")]
    frame = [named("|IMAGE|"), *(4 * row), named("|ENDOFIMAGE|")]
    shown = adapter.encode((*context, Text("Q:"), ImageInput(images[0]), Text("\nA:"), QUERY))
    before, after = ids_of(adapter, text + "image 0: "), ids_of(adapter, "\nA:")
    assert shown.ids == [bos, *before, *frame, bos, *after]
    first, second = ImageInput(images[0]), ImageInput(images[0])
    beside = adapter.encode((first, second, Text("A:"), QUERY))
    pieces = [[bos, *ids_of(adapter, f"image {number}: "), *frame] for number in (0, 1)]
    assert beside.ids == [*pieces[0], *pieces[1], bos, *ids_of(adapter, "A:")]


def test_mllama_looks_at_the_last_image_after_its_keys_were_kept(images, tiny):
    adapter = tiny("mllama")
    small, wide = ImageInput(images[0]), ImageInput(images[1])
    parts = [(), (small, Text("A:a")), (wide, Text("A:a")), (small, Text("A:a"), wide)]
    prompts = [adapter.encode((Text("Q:"), *part, Text("\nA:"), QUERY)) for part in parts]
    vectors = {"0": torch.randn(LAYERS, 32, generator=torch.Generator().manual_seed(1))}
    sites = [Site("0", layer) for layer in range(LAYERS)]
    expected = naive_sweep(adapter, prompts, vectors, sites)
    batches = cached_sweep(adapter, prompts, vectors, sites, 4096)
    found = [one for batch in batches for one in batch]
    assert len(found) == len(expected)
    filled = adapter.features[images[0]].beside
    assert filled.sum() != len(filled)  # some tiles are empty
    answers = {(number, site): answer for number, site, answer in expected}
    for number, site, answer in found:
        assert answer.token_id == answers[number, site].token_id
        difference = answers[number, site].logit_difference
        assert answer.logit_difference == pytest.approx(difference, abs=1e-4)


def test_gemma3_looks_no_further_than_its_window_within_an_image(images, tmp_path, load):
    """A window of 6 tokens and images of 16, none of which is released: as the model itself."""
    today_families.gemma3(tmp_path, image_tokens=16)
    adapter = load(tmp_path, "gemma3")
    for encoded, text, shown in own_prompts("gemma3", adapter, images):
        inputs = own_inputs("gemma3", adapter, encoded, text, shown)
        assert encoded.ids == inputs["input_ids"][0].tolist()
        with torch.inference_mode():
            own = adapter.model(**inputs).logits[0, -1]
        ours = logits_of(adapter, outputs(adapter, encoded)[-1])
        torch.testing.assert_close(ours, own.cpu(), **CLOSE)


@pytest.mark.parametrize("place", ["text_config", "config"])
@pytest.mark.parametrize("stated", [None, 10000.0, 12345.0])
def test_fuyu_turns_by_25000_where_the_file_does_not_say(tmp_path, stated, place, load):
    FAMILIES["fuyu"].save(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    del config["text_config"]["rope_parameters"]
    if stated is not None:
        (config["text_config"] if place == "text_config" else config)["rope_theta"] = stated
    path.write_text(json.dumps(config))
    adapter = load(tmp_path, "fuyu")
    theta = adapter.decoder.config.rope_parameters["rope_theta"]
    assert theta == (stated or 25000.0)
    frequencies = adapter.decoder.rotary_emb.inv_freq
    assert float(frequencies[1]) == pytest.approx(theta ** (-2 / (2 * len(frequencies))))
    noted = ["rope_theta; 25000 is used" in note for note in adapter.notes(tmp_path)]
    assert noted == ([True] if stated is None else [])


def test_a_model_that_sees_both_ways_is_refused(tmp_path, load):
    (tmp_path / "config.json").write_text('{"model_type": "paligemma"}')
    with pytest.raises(UserError, match="paligemma"):
        load(tmp_path, "paligemma")


def test_a_processor_that_needs_a_missing_package_is_named(tmp_path, load):
    if importlib.util.find_spec("torchvision") is not None:
        return
    FAMILIES["llava"].save(tmp_path)
    path = tmp_path / "processor_config.json"
    settings = {**json.loads(path.read_text()), "processor_class": "PixtralProcessor"}
    path.write_text(json.dumps(settings))
    with pytest.raises(UserError, match="PixtralProcessor requires the Torchvision"):
        load(tmp_path, "pixtral")


@pytest.mark.parametrize("legacy", [True, False, None])
def test_a_tokenizer_that_is_not_that_of_its_file_is_refused(tmp_path, load, legacy):
    """Idefics2 with the class of tokenizers that transformers 5 builds from `legacy`."""
    FAMILIES["idefics2"].save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    settings = {**json.loads(path.read_text()), "tokenizer_class": "LlamaTokenizer"}
    path.write_text(json.dumps(settings if legacy is None else {**settings, "legacy": legacy}))
    if legacy:
        assert load(tmp_path, "idefics2").tokenizer.legacy
        return
    for door in (load, empty_adapter):
        with pytest.raises(UserError, match=r"tokenizer.json: of 'Q:<image>\\nA:' it makes \d+"):
            door(tmp_path, "idefics2")


def test_an_incomplete_checkpoint_is_named(tmp_path, load):
    FAMILIES["llava"].save(tmp_path)
    for path in tmp_path.glob("*processor*"):
        path.unlink()
    with pytest.raises(UserError, match="processor for llava cannot be loaded"):
        load(tmp_path, "llava")


def test_missing_weights_are_not_made_up(tmp_path, load):
    FAMILIES["llama"].save(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match="lacks 1 weights of LlamaForCausalLM"):
        load(tmp_path, "llama")


def test_a_truncated_checkpoint_is_named(tmp_path, load):
    FAMILIES["llava"].save(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path, "llava")


def test_a_fuyu_of_one_image_is_refused(tmp_path, load):
    FAMILIES["fuyu"].save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace("|ENDOFIMAGE|", "|NOTHING|"))
    with pytest.raises(UserError, match=r"lacks \|ENDOFIMAGE\|"):
        load(tmp_path, "fuyu")


def test_a_language_model_of_the_usual_shape_loads(tmp_path, load):
    tokenizer = vocabulary.byte_level([])
    save(tmp_path, hf.Qwen2ForCausalLM(hf.Qwen2Config(**text_sizes(tokenizer))), tokenizer)
    assert len(load(tmp_path, "qwen2").layers) == LAYERS


def test_a_language_model_with_logits_of_its_own_is_refused(tmp_path, load):
    tokenizer = vocabulary.byte_level([])
    config = hf.CohereConfig(**text_sizes(tokenizer), logit_scale=0.5)
    save(tmp_path, hf.CohereForCausalLM(config), tokenizer)
    with pytest.raises(UserError, match="off those of its own forward pass"):
        load(tmp_path, "cohere")


def test_a_model_with_positions_of_its_own_is_not_taken_for_an_ordinary_one(tmp_path, load):
    FAMILIES["qwen2_vl"].save(tmp_path)
    check_model(QwenAdapter.load(tmp_path, "qwen2_vl", "float32"), "this")
    ordinary = GenericAdapter.load(tmp_path, "qwen2_vl", "float32")
    with pytest.raises(UserError, match="off those of its own forward pass"):
        check_model(ordinary, "this")
