"""What is loaded is what the folder holds, and nothing of it runs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tokenizers.processors import TemplateProcessing

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, write_json
from taskvectors.jobs.arguments import as_loaded
from taskvectors.models.add.abilities import empty_adapter
from taskvectors.models.chat import prompt_notes
from taskvectors.models.registry import HELD, LAYER_TYPES, SETTINGS, unheld
from taskvectors.models.weights import four_bits

from . import vocabulary
from .families import FAMILIES
from .tiny import LAYERS, save, text_sizes

WEIGHTS = "model.safetensors"
Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Callable[[str], Path]:
    """A family's tiny checkpoint, saved once."""
    folders: dict[str, Path] = {}

    def saved(family: str) -> Path:
        if family not in folders:
            folders[family] = tmp_path_factory.mktemp(family)
            FAMILIES[family].save(folders[family])
        return folders[family]

    return saved


@pytest.fixture
def changed(kept, tmp_path) -> Callable[..., Path]:
    """A copy of a family's checkpoint with another configuration and other tensors."""

    def copy(family: str, add: dict[str, torch.Tensor] | None = None, **config: Any) -> Path:
        folder = shutil.copytree(kept(family), tmp_path / "changed")
        write_json(folder / "config.json", {**read_json(folder / "config.json"), **config})
        if add:
            tensors = {**load_file(folder / WEIGHTS), **add}
            save_file(tensors, folder / WEIGHTS, {"format": "pt"})
        return folder

    return copy


def refusal(call: Callable[[], Any]) -> str:
    """The one sentence of a refusal."""
    with pytest.raises(UserError, match=r"\A[^\n]*\Z") as error:
        call()
    return str(error.value)


def bias(layer: int = 0) -> dict[str, torch.Tensor]:
    return {f"model.layers.{layer}.self_attn.q_proj.bias": torch.ones(32)}


UNUSED = {
    "a_layer_less": ("llama", {}, {"num_hidden_layers": 2}, "has 9 tensors that Llama"),
    "biases_switched_off": ("llama", bias(), {}, "e.g. model.layers.0.self_attn.q_proj.bias;"),
    "expected_by_a_class": ("gpt2", {"h.9.attn.bias": torch.ones(7)}, {}, "h.9.attn.bias"),
    "of_a_vision_tower": ("llava", {"vision_tower.more": torch.ones(2)}, {}, "vision_tower.more"),
    "of_fuyu": ("fuyu", {"vision_embed_tokens.more": torch.ones(2)}, {}, "_tokens.more"),
    "of_embedded": ("embedded", {"projector.more": torch.ones(2)}, {}, "projector.more"),
    "of_peft": ("llama", {"model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(2, 32)}, {},
                "1 tensors of an adapter, e.g. .*lora_A.weight, .* merge it first"),
    "of_a_wrapped_base": ("llama", {"model.layers.0.mlp.up_proj.base_layer.weight": torch.ones(2)},
                          {}, "merge it first"),
    "of_another_shape": ("llama", {"lm_head.weight": torch.ones(3, 32)}, {},
                         r"1 tensors in another shape .*e\.g\. lm_head\.weight \(3, 32\) for"),
    "twice": ("llava", {"model.language_model.norm.weight": torch.ones(32)}, {},
              "are one weight of LlavaForConditionalGeneration"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSED)
def test_what_the_model_does_not_take_as_it_is_is_refused(case, changed, load):
    family, add, config, complaint = UNUSED[case]
    folder = changed(family, add, **config)
    if case == "twice":
        assert "language_model.model.norm.weight" in load_file(folder / WEIGHTS)
    for call in (lambda: load(folder, family), lambda: empty_adapter(folder, family)):
        assert re.search(complaint, refusal(call))


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.float8_e4m3fn])
@pytest.mark.parametrize("family", ["llama", "llava"])
def test_weights_that_need_scales_are_refused(family, kind, kept, changed, load):
    stored = load_file(kept(family) / WEIGHTS)
    folder = changed(family, {n: t.to(kind) for n, t in stored.items() if "up_proj" in n})
    for call in (lambda: load(folder, family), lambda: empty_adapter(folder, family)):
        assert re.search(r"up_proj\.weight is \w+8\w*\) is quantised", refusal(call))


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("llama", {"quantization_config": {"quant_method": "fp8"}}),
        ("llama", {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}),
        ("llava", {"text_config": {"quantization_config": {"quant_method": "gptq"}}}),
    ],
)
def test_a_quantised_checkpoint_is_refused(family, config, changed, load):
    folder = changed(family, **config)
    for call in (lambda: load(folder, family), lambda: empty_adapter(folder, family)):
        assert "is quantised, which is not read" in refusal(call)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_a_head_of_its_own_is_kept_where_the_configuration_ties_it(family, kept, changed, load):
    stored = load_file(kept(family) / WEIGHTS)
    embeddings = stored.get("model.embed_tokens.weight", stored.get("transformer.wte.weight"))
    folder = changed(family, {"lm_head.weight": -embeddings}, tie_word_embeddings=True)
    adapter = load(folder, family)
    assert torch.equal(adapter.unembedding.weight.cpu(), -embeddings)
    assert torch.equal(adapter.model.get_input_embeddings().weight.cpu(), embeddings)


def test_what_is_harmless_is_left_unused_and_recorded(changed, load):
    rotary = {
        f"model.layers.{layer}.self_attn.rotary_emb.inv_freq": torch.ones(4)
        for layer in range(LAYERS)
    }
    folder = changed("llama", {**rotary, "mtp.layers.0.weight": torch.ones(2)})
    notes = as_loaded(load(folder, "llama"), folder, "float32").notes
    assert notes == [
        f"Tensors left unused: {LAYERS} x model.layers.*.self_attn.rotary_emb.inv_freq, "
        "1 x mtp.layers.*.weight."
    ]


def test_a_mask_that_old_files_have_is_left_unused(changed, load):
    folder = changed("gpt2", {"transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8)})
    notes = as_loaded(load(folder, "gpt2"), folder, "float32").notes
    assert notes == ["Tensors left unused: 1 x transformer.h.*.attn.bias."]


def test_every_family_takes_all_of_its_tensors(adapter, folder):
    notes = as_loaded(adapter, folder, "float32").notes
    assert not [note for note in notes if "unused" in note]


def test_a_pickle_alone_is_refused(changed, load):
    folder = changed("llama")
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    assert "has no weights as model*.safetensors" in refusal(lambda: load(folder, "llama"))


def test_shards_load_and_one_outside_the_folder_is_refused(changed, load, tmp_path):
    folder = changed("llama")
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = {name: f"model-0000{number % 2 + 1}-of-00002.safetensors"
             for number, name in enumerate(tensors)}  # fmt: skip
    for shard in set(names.values()):
        save_file({n: t for n, t in tensors.items() if names[n] == shard}, folder / shard,
                  {"format": "pt"})  # fmt: skip
    index = folder / "model.safetensors.index.json"
    write_json(index, {"metadata": {}, "weight_map": names})
    assert len(load(folder, "llama").layers) == LAYERS
    (folder / "model-00002-of-00002.safetensors").rename(tmp_path / "b.safetensors")
    outside = {n: s if "00001" in s[:11] else "../b.safetensors" for n, s in names.items()}
    write_json(index, {"metadata": {}, "weight_map": outside})
    assert "names '../b.safetensors'" in refusal(lambda: load(folder, "llama"))


PROBE = "from pathlib import Path\nPath({!r}).write_text('')\nclass Own: pass\n"
OWN = {"auto_map": {
    "AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own", "AutoProcessor": "own.Own",
    "AutoModelForImageTextToText": "own.Own", "AutoImageProcessor": "own.Own",
    "AutoTokenizer": ["own.Own", "own.Own"],
}}  # fmt: skip
ASKING = {
    "config.json": ("llama", {"model_type": "own"}, "the architecture 'own' needs"),
    "tokenizer_config.json": ("llama", {"tokenizer_class": "Own"}, "the Tokenizer Own needs"),
    "preprocessor_config.json": ("llava", {"image_processor_type": "Own"}, "ImageProcessor Own n"),
    "processor_config.json": ("llava", {"processor_class": "Own"}, "the Processor Own needs"),
}


def asks(folder: Path, file: str, **settings: Any) -> None:
    """Have one of a checkpoint's files ask for code that would leave a file."""
    (folder / "own.py").write_text(PROBE.format(str(folder / "ran")))
    path = folder / file
    said = read_json(path) if path.is_file() else {}
    write_json(path, {**said, **OWN, **settings})


@pytest.mark.parametrize("file", ASKING)
def test_a_checkpoint_that_needs_its_own_code_is_refused_without_a_question(
    file, changed, load, monkeypatch
):
    family, settings, complaint = ASKING[file]
    folder = changed(family)
    asks(folder, file, **settings)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody was asked"))
    for call in (lambda: load(folder, family), lambda: empty_adapter(folder, family)):
        assert re.search(complaint, refusal(call))
    assert "no code of a checkpoint is run here" in refusal(lambda: load(folder, family))
    assert not list(folder.rglob("ran"))


@pytest.mark.parametrize("family", ["llama", "llava"])
def test_a_class_that_transformers_knows_is_taken_in_place_of_the_folders_code(
    family, changed, load, monkeypatch
):
    folder = changed(family)
    for file in ("config.json", "tokenizer_config.json"):
        asks(folder, file)
    if family == "llava":
        asks(folder, "processor_config.json")
        asks(folder, "preprocessor_config.json", image_processor_type="CLIPImageProcessor",
             processor_class="LlavaProcessor")  # fmt: skip
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody was asked"))
    assert type(load(folder, family).model).__module__.startswith("transformers.")
    assert not list(folder.rglob("ran"))


def test_no_load_leaves_open_whether_code_may_run(root):
    """Each `from_pretrained` and `from_config` of the package states it."""
    for path in (root / "workflow/taskvectors").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        calls = re.findall(r"(from_(?:pretrained|config)\((?:[^()]|\([^()]*\))*\))", text)
        assert [one for one in calls if "trust_remote_code=False" not in one] == [], path


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"hidden_size": "many"}, "config.json cannot be loaded by transformers .*hidden_size"),
        ({"num_hidden_layers": 0}, "states 0 layers"),
        ({"num_hidden_layers": -3}, "states -3 layers"),
        ({"num_hidden_layers": 10**9}, "states 1000000000 layers, but the weights are"),
        ({"num_attention_heads": 0}, "cannot be loaded by transformers"),
        ({"hidden_act": "none"}, "the model cannot be loaded by transformers"),
        ({"hidden_size": 64, "head_dim": 8}, "tensors in another shape"),
        ({"vocab_size": 10**12}, "tensors in another shape"),
        ({"pad_token_id": 10**9}, "the model cannot be loaded by transformers"),
    ],
)
def test_a_configuration_of_nonsense_is_refused_before_anything_is_made(
    config, complaint, changed, load
):
    folder = changed("llama", **config)
    for call in (lambda: load(folder, "llama"), lambda: empty_adapter(folder, "llama")):
        assert re.search(complaint, refusal(call))


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"added_tokens": [], "model": 3}'])
def test_a_tokenizer_of_nonsense_is_refused(text, changed):
    folder = changed("llama")
    (folder / "tokenizer.json").write_text(text)
    assert "the tokenizer cannot be loaded" in refusal(lambda: empty_adapter(folder, "llama"))


OF_ANOTHER_KIND = {
    "model_type": ("config.json", {"model_type": ["llama"]}, "model_type is no name"),
    "template": ("tokenizer_config.json", {"chat_template": 3}, "template of .* is 3, which is no"),
    "templates": ("tokenizer_config.json", {"chat_template": {"default": [1]}}, "which is no text"),
    "length": ("tokenizer_config.json", {"model_max_length": "x"}, "the tokenizer cannot be load"),
}


@pytest.mark.parametrize("case", OF_ANOTHER_KIND)
def test_a_setting_of_another_kind_is_refused(case, changed, load):
    file, settings, complaint = OF_ANOTHER_KIND[case]
    folder = changed("llama")
    path = folder / file
    write_json(path, {**read_json(path), **settings})
    assert re.search(complaint, refusal(lambda: prompt_notes(load(folder, "llama"))))
    assert re.search(complaint, refusal(lambda: prompt_notes(empty_adapter(folder, "llama"))))


@pytest.mark.parametrize("text", ["[1]", "null", "nonsense", "9" * 5000, "[" * 9999 + "]" * 9999])
def test_a_generation_configuration_of_nonsense_is_refused(text, changed, load):
    folder = changed("llama")
    (folder / "generation_config.json").write_text(text)
    assert "generation_config.json is no" in refusal(lambda: load(folder, "llama"))


def test_a_tokenizer_without_places_in_a_text_is_refused(changed, load):
    folder = changed("llama")
    (folder / "tokenizer.json").unlink()
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "ByT5Tokenizer"})
    for call in (lambda: load(folder, "llama"), lambda: empty_adapter(folder, "llama")):
        assert "ByT5Tokenizer does not tell where in a text its tokens are" in refusal(call)


@pytest.mark.parametrize("family", ["llama", "llava"])
def test_a_tokenizer_that_ends_every_text_is_refused(family, changed, load):
    path = changed(family) / "tokenizer.json"
    ends = hf.PreTrainedTokenizerFast(tokenizer_file=str(path)).backend_tokenizer
    number = ends.token_to_id("</s>")
    ends.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", number)])
    ends.save(str(path))
    said = refusal(lambda: load(path.parent, family))
    assert "the tokenizer ends every text with '</s>'" in said


def held_values(family: str, folder: Path) -> list[str]:
    FAMILIES[family].save(folder)
    return unheld(hf.AutoConfig.from_pretrained(folder, trust_remote_code=False))


def test_what_is_held_is_what_the_contracts_families_have(adapter):
    """Each family's own configuration is held, and no decoder or layer beyond them."""
    config = adapter.model.config
    assert unheld(config) == []
    assert config.get_text_config().model_type in HELD[config.model_type]
    layers = set(getattr(config.get_text_config(), "layer_types", None) or [])
    assert layers - SETTINGS["layer_types"] == LAYER_TYPES.get(
        config.get_text_config().model_type, set()
    )


ROPES = {
    "dynamic": {"factor": 4.0},
    "longrope": {"factor": 4.0, "short_factor": [1.0] * 4, "long_factor": [1.0, 2.0, 4.0, 8.0],
                 "original_max_position_embeddings": 48},
    "linear": {"factor": 2.0},
    "llama3": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 48},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 48},
}  # fmt: skip


def roped(folder: Path, kind: str) -> Path:
    """A tiny Llama, an architecture that is held, with a kind of rope that is not."""
    tokenizer = vocabulary.sentencepiece([])
    sizes = text_sizes(tokenizer, max_position_embeddings=48 if kind == "dynamic" else 192)
    rope = {"rope_type": kind, "rope_theta": 10000.0, **ROPES[kind]}
    save(folder, hf.LlamaForCausalLM(hf.LlamaConfig(**sizes, rope_parameters=rope)), tokenizer)
    return folder


@pytest.mark.parametrize("kind", ["linear", "llama3", "yarn"])
def test_rope_that_no_contract_has_is_checked_as_it_loads(kind, tmp_path, load):
    checked = load(roped(tmp_path, kind), "tiny").checked
    assert f"No contract test holds llama's rope_type {kind!r} with these versions" in checked


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_rope_that_turns_by_the_longest_row_of_a_batch_is_refused(kind, tmp_path, load):
    said = refusal(lambda: load(roped(tmp_path, kind), "tiny"))
    assert "off those of the same prompt outside a batch" in said
    assert f"llama's rope_type {kind!r}" in said


@pytest.mark.parametrize(
    ("family", "settings", "told"),
    [
        ("internvl", {"text_config": {"use_sliding_window": True}}, "use_sliding_window 'True'"),
        ("internvl", {"text_config": {"layer_types": ["sliding_attention"] * 3}}, "layer_types"),
        ("gemma3", {"text_config": {"use_bidirectional_attention": True}}, "use_bidirectional_at"),
        ("llava", {"text_config": {"model_type": "phi3"}}, "the decoder 'phi3' in 'llava'"),
        ("llama", {"alibi": True}, "llama's alibi 'True'"),
        ("llama", {"logits_scaling": 2.0}, "llama's logits_scaling '2.0'"),
    ],
)
def test_settings_that_no_contract_has_are_not_held(family, settings, told, kept):
    values = json.loads((kept(family) / "config.json").read_text())
    for key, value in settings.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    config = hf.AutoConfig.for_model(**values)
    assert told in " and ".join(unheld(config))


def test_four_bits_are_those_that_the_authors_released():
    options = four_bits(torch.float16)
    assert options.load_in_4bit and options.bnb_4bit_quant_type == "nf4"
    assert options.bnb_4bit_use_double_quant is True
    assert options.bnb_4bit_compute_dtype == options.bnb_4bit_quant_storage == torch.float16
