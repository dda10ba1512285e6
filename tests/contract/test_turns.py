"""Images in the model's own turns, and in the frame that these have, in all templates."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import jsonschema
import pytest
import transformers as hf
import yaml

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.sweep import Site, sweep
from taskvectors.jobs.arguments import as_loaded, load_template
from taskvectors.models.base import Adapter
from taskvectors.models.chat import fitted
from taskvectors.record.loaded import REPORT, report_answers, report_loaded
from taskvectors.study.prompts import ImageInput, Template, Text, find_template

from . import real_templates, vocabulary
from .families import FAMILIES
from .real_tokenizers import CannotFetchError
from .test_chat import STRINGS, TEMPLATES
from .test_contract import assert_same_answers, processed, random_vectors
from .tiny import VISION, save, text_sizes
from .vocabulary import WORDS

ROOT = Path(__file__).parents[2]
PROCESSED = [name for name, one in FAMILIES.items() if one.processed and one.images]
SEEN = [name for name in PROCESSED if not name.startswith("embedded")]
# A template of every trait: spaces and a line break beside images, a frame that words do not have.
BEFORE, BEHIND = "USER: <pad>", "<pad>\nASSISTANT:"
STAND_IN = (
    "{{% for m in messages %}}{{{{ m['role'].upper() + ': ' }}}}"
    "{{% for part in m['content'] %}}{{% if part['type'] == 'image' %}}"
    "{{{{ '<pad>{image}<pad>\n' }}}}{{% elif part['type'] == 'text' %}}"
    "{{{{ part['text'] + ' ' }}}}{{% endif %}}{{% endfor %}}{{% endfor %}}"
    "{{% if add_generation_prompt %}}{{{{ 'ASSISTANT:' }}}}{{% endif %}}"
)


def saved(family: str, folder: Path) -> Path:
    for package in FAMILIES[family].needs:
        pytest.importorskip(package, reason=f"needs {package}; see tests/QUARANTINE.md")
    FAMILIES[family].save(folder)
    return folder


def with_template(load, family: str, folder: Path, template: str) -> Adapter:
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return load(folder, family)


def standing_in(load, family: str, folder: Path) -> Adapter:
    """A family's model whose checkpoint has the template of every trait."""
    image = load(saved(family, folder), family).image_text
    return with_template(load, family, folder, STAND_IN.format(image=image))


def assert_processed(
    family: str, adapter: Adapter, template: Template, images: list[str], before: str, behind: str
) -> None:
    """Prompts of one, two and six images are what the family's own processor makes of the text
    that has ``before`` and ``behind`` around each."""
    for count in (1, 2, 6):
        shown = [images[number % len(images)] for number in range(count)]
        pairs = [(ImageInput(path), WORDS[number]) for number, path in enumerate(shown[:-1])]
        context = template.exemplars(pairs) if pairs else ()
        encoded = adapter.encode((*context, *template.query(ImageInput(shown[-1]))))
        one = f"{before}{adapter.image_text}{behind}"
        ends = [template.value(word).text + template.end for _, word in pairs]
        text = "".join(one + end for end in [*ends, ""])
        inputs = processed(family, adapter, encoded, text, shown)
        own = inputs["input_ids"][0].tolist()
        if FAMILIES[family].nested and count == 1:  # a lone image has tiles there
            own, ours = (once(ids, adapter.placeholder_id) for ids in (own, encoded.ids))
            assert ours == own
        else:
            assert encoded.ids == own
        assert all(encoded.ids[end - 1] == adapter.placeholder_id for end in encoded.image_ends)


def once(ids: list[int], placeholder: int | None) -> list[int]:
    """Tokens with one placeholder an image."""
    groups = [(token, len(list(same))) for token, same in groupby(ids)]
    return [token for token, size in groups for _ in range(1 if token == placeholder else size)]


@pytest.mark.parametrize("family", SEEN)
def test_images_are_in_the_turns_of_the_models_own_template(family, tmp_path, load, images):
    adapter = standing_in(load, family, tmp_path)
    template = fitted(find_template(TEMPLATES, "chat"), adapter)
    assert adapter.frame == ("<pad>", "<pad>")
    assert_processed(family, adapter, template, images, BEFORE, BEHIND)
    for name in ("generic", "spaced"):
        template = find_template(TEMPLATES, name)
        assert_processed(family, adapter, template, images, "Q:<pad>", "<pad>\nA:")


@pytest.mark.parametrize("family", real_templates.SOURCES)
def test_images_are_in_the_turns_of_the_real_template(family, tmp_path, load, images, pytestconfig):
    try:
        own = real_templates.load(family, pytestconfig.cache.mkdir("templates"))
    except CannotFetchError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error}; see tests/QUARANTINE.md")
    adapter = with_template(load, family, saved(family, tmp_path), own)
    template = fitted(find_template(TEMPLATES, "chat"), adapter)
    source = real_templates.SOURCES[family]
    for count in (1, 2, 6):
        pieces = rendered(adapter, own, count).split(str(adapter.image_text))
        assert len(pieces) == count + 1
        assert all(piece.endswith(source.before) for piece in pieces[:-1])
        assert all(piece.startswith(source.behind) for piece in pieces[1:])
    assert_processed(family, adapter, template, images, source.before, source.behind)
    before, behind = adapter.frame
    for name in ("generic", "spaced"):
        template = find_template(TEMPLATES, name)
        assert_processed(family, adapter, template, images, f"Q:{before}", f"{behind}\nA:")


def rendered(adapter: Adapter, template: str, count: int) -> str:
    """A conversation about images, as transformers' own users have a template write it."""
    messages = []
    for number in range(count):
        messages += [
            {"role": "user", "content": [{"type": "image"}]},
            {"role": "assistant", "content": [{"type": "text", "text": WORDS[number]}]},
        ]
    return adapter.tokenizer.apply_chat_template(
        messages[:-1], chat_template=template, tokenize=False, add_generation_prompt=True
    )


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_qwens_frame_is_there_without_a_chat_template(family, adapter_of, images):
    adapter = adapter_of(family)
    assert adapter.frame == ("<|vision_start|>", "<|vision_end|>")
    for name in ("generic", "spaced"):
        template = find_template(TEMPLATES, name)
        around = ("Q:<|vision_start|>", "<|vision_end|>\nA:")
        assert_processed(family, adapter, template, images, *around)


def test_branches_that_end_in_framed_images_answer_as_one_pass_per_patch_does(adapter_of, images):
    adapter = adapter_of("qwen3_vl")
    template = find_template(TEMPLATES, "generic")
    pairs = [(ImageInput(images[0]), "Tokyo"), (ImageInput(images[1]), "Lima")]
    context = template.exemplars(pairs)
    prompts = [adapter.encode((*context, *template.query(ImageInput(path)))) for path in images]
    vectors = random_vectors(adapter, 2)
    sites = [Site(name, layer) for layer in range(len(adapter.layers)) for name in vectors]
    found = [one for batch in sweep(adapter, prompts, vectors, sites, 4096) for one in batch]
    assert_same_answers(found, naive_sweep(adapter, prompts, vectors, sites))


def test_the_record_has_the_models_own_pieces(tmp_path, load, monkeypatch):
    adapter = standing_in(load, "llava", tmp_path)
    monkeypatch.setenv(REPORT, str(tmp_path / "report.json"))
    loaded = as_loaded(adapter, tmp_path, "float32")
    assert "Every image is between '<pad>' and '<pad>'" in " ".join(loaded.notes)
    report_loaded(loaded, "cpu")
    args = argparse.Namespace(templates=TEMPLATES, template="chat")
    template = load_template(args, adapter)
    report_answers([True, False])
    report = read_json(tmp_path / "report.json")
    assert set(report) == {"model", "device", "template", "answers"}
    schema = yaml.safe_load((ROOT / "workflow/schemas/record.schema.yaml").read_text())
    jsonschema.validate(report, {**schema, "required": list(report)})
    assert report["template"]["image"] == list(template.image) == ["USER: ", "\nASSISTANT:"]
    assert report["template"]["question"] == template.question == "USER:"


def test_a_chat_template_without_images_takes_words_only(tmp_path, load, images):
    saved("llava", tmp_path)
    adapter = with_template(load, "llava", tmp_path, STRINGS)
    assert adapter.frame == ("", "")
    template = fitted(find_template(TEMPLATES, "chat"), adapter)
    adapter.encode(template.query(Text("Japan")))
    with pytest.raises(UserError, match=r"no place for the image .*0\.png.* choose another"):
        template.query(ImageInput(images[0]))


def test_images_that_a_chat_template_numbers_are_refused(tmp_path, load, images):
    """Ernie 4.5's way: what is before an image depends on how many were before it."""
    image = load(saved("llava", tmp_path), "llava").image_text
    numbered = (
        "{% set count = namespace(value=0) %}{% for m in messages %}{{ m['role'] + ': ' }}"
        "{% for part in m['content'] %}{% if part['type'] == 'image' %}"
        "{% set count.value = count.value + 1 %}{{ 'Picture ' ~ count.value ~ ':<pad>IMAGE<pad>' }}"
        "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
    )
    adapter = with_template(load, "llava", tmp_path, numbered.replace("IMAGE", str(image)))
    assert adapter.frame == ("<pad>", "<pad>")
    template = fitted(find_template(TEMPLATES, "chat"), adapter)
    with pytest.raises(UserError, match="not all of them alike"):
        template.query(ImageInput(images[0]))


@pytest.fixture
def adapter_of(load, tmp_path) -> Callable[[str], Adapter]:
    return lambda family: load(saved(family, tmp_path), family)


def test_an_architecture_without_a_contract_is_checked_within_its_frame(tmp_path, load, images):
    """LLaVA-NeXT, whose check on loading compares with its own processor."""
    tokenizer = vocabulary.sentencepiece(["<image>"], image_token="<image>")
    config = hf.LlavaNextConfig(
        vision_config=hf.CLIPVisionConfig(**VISION, image_size=28, patch_size=14),
        text_config=hf.LlamaConfig(**text_sizes(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=[[28, 56], [56, 28]],
    )
    pixels = hf.LlavaNextImageProcessor(
        size={"shortest_edge": 28},
        crop_size={"height": 28, "width": 28},
        image_grid_pinpoints=config.image_grid_pinpoints,
    )
    processor = hf.LlavaNextProcessor(
        pixels,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    save(tmp_path, hf.LlavaNextForConditionalGeneration(config), processor)
    adapter = with_template(load, "llava_next", tmp_path, STAND_IN.format(image="<image>"))
    assert "its own forward pass" in adapter.checked
    encoded = adapter.encode(find_template(TEMPLATES, "generic").query(ImageInput(images[0])))
    text = adapter.tokenizer.decode(encoded.ids)
    assert "<pad><image>" in text and "<image><pad>" in text
