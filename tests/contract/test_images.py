"""Images are opened once, and kept as features on the device as far as there is room."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import PIL.Image
import pytest
import torch

from taskvectors.base.errors import UserError
from taskvectors.engine.load import load_adapter
from taskvectors.models.base import Adapter
from taskvectors.models.features import Recent, feature_bytes, pixel_bytes
from taskvectors.models.generic import GenericAdapter
from taskvectors.study.prompts import ImageInput

from .families import FAMILIES
from .test_contract import TEMPLATE, contexts, outputs

# Everything but language models alone; those of the paper first.
SEEING = [name for name, family in FAMILIES.items() if family.images]


@pytest.fixture(scope="session", params=SEEING)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def fresh(family: str, folder: Path, load) -> Adapter:
    """The family's model, which has seen nothing."""
    return load(folder, family)


@pytest.fixture
def opened(monkeypatch) -> Counter[str]:
    """How often each image was opened."""
    count: Counter[str] = Counter()
    original = PIL.Image.open

    def counting(source, *args):
        count[str(source)] += 1
        return original(source, *args)

    monkeypatch.setattr(PIL.Image, "open", counting)
    return count


def test_an_image_is_opened_once_from_its_placeholders_to_its_features(fresh, images, opened):
    prompts = contexts(fresh, images)  # encodes them
    contexts(fresh, images)
    fresh.see(images[:2])
    for prompt in prompts * 2:
        outputs(fresh, prompt)
    assert opened == {images[0]: 1, images[1]: 1}


def test_what_does_not_fit_is_dropped_and_made_anew_to_the_same_values(fresh, images, opened):
    prompts = [fresh.encode(TEMPLATE.query(ImageInput(image))) for image in images]
    expected = [outputs(fresh, prompt) for prompt in prompts]
    kept = [fresh.features[image] for image in images]
    fresh.features = Recent(max(map(feature_bytes, kept)), feature_bytes)
    opened.clear()
    for image, before, prompt, known in [*zip(images, kept, prompts, expected, strict=True)] * 2:
        assert torch.equal(outputs(fresh, prompt), known)
        assert 0 < len(fresh.features) < len(images)
        assert torch.equal(fresh.features[image].features, before.features)
        assert torch.equal(fresh.features[image].beside, before.beside)
    assert opened.total() > len(images)


def test_a_prompt_whose_images_do_not_fit_is_answered_all_the_same(fresh, images):
    prompt = contexts(fresh, images)[-1]
    assert len(set(prompt.images)) == 2
    expected = outputs(fresh, prompt)
    fresh.features = Recent(0, feature_bytes)
    assert torch.equal(outputs(fresh, prompt), expected)
    assert torch.equal(outputs(fresh, prompt), expected)
    assert len(fresh.features) == 0


def test_pixels_that_do_not_fit_are_read_again(fresh, images, opened):
    if isinstance(fresh, GenericAdapter):
        fresh.waiting = Recent(1, pixel_bytes)
        prompt = fresh.encode(TEMPLATE.query(ImageInput(images[0])))
        before = opened.total()
        outputs(fresh, prompt)
        assert opened.total() == before + 1


def asked(adapter: Adapter, image: str) -> None:
    encoded = adapter.encode(TEMPLATE.query(ImageInput(image)))
    outputs(adapter, encoded)


@pytest.fixture
def seeing(tmp_path, load):
    """Load a family by its name."""

    def save_and_load(name: str) -> Adapter:
        for package in FAMILIES[name].needs:
            pytest.importorskip(package, reason=f"needs {package}; see tests/QUARANTINE.md")
        FAMILIES[name].save(tmp_path / name)
        return load(tmp_path / name, name)

    return save_and_load


@pytest.fixture
def dot(tmp_path) -> str:
    PIL.Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    return str(tmp_path / "dot.png")


def refused(model: str, reason: str) -> str:
    return (
        rf"^the model {model} does not take the image .*/dot\.png \({reason}.*\); crop or enlarge"
    )


def test_an_image_that_a_vision_tower_cannot_cut_is_named(seeing, dot):
    adapter = seeing("mistral3")
    with pytest.raises(UserError, match=refused("mistral3", "split_with_sizes")):
        asked(adapter, dot)


def test_an_image_that_a_processor_cannot_count_is_named(seeing, dot):
    """Tiles, with which Idefics2's own divides by zero, are off here otherwise."""
    adapter = seeing("idefics2")
    adapter.processor.image_processor.do_image_splitting = True
    with pytest.raises(UserError, match=refused("idefics2", ".*division.* by zero")):
        asked(adapter, dot)


def test_an_image_that_a_vision_tower_is_too_small_for_is_named(seeing, dot):
    adapter = seeing("llava")
    adapter.encode(TEMPLATE.query(ImageInput(dot)))
    adapter.waiting[dot]["pixel_values"] = torch.zeros(1, 3, 70, 70)
    with pytest.raises(UserError, match=refused("llava", r"Input image size \(70\*70\)")):
        asked(adapter, dot)


@pytest.mark.parametrize("name", ["llava", "fuyu", "qwen2_vl", "minicpmv4_6", "mllama"])
@pytest.mark.parametrize(
    ("failure", "reason"),
    [(RuntimeError("of its\n own"), "of its own"), (IndexError(), "IndexError"),
     (ZeroDivisionError("by 0"), "by 0"), (AssertionError(), "AssertionError")],
)  # fmt: skip
def test_whatever_is_raised_of_an_image_names_it(seeing, dot, monkeypatch, name, failure, reason):
    adapter = seeing(name)

    def fail(*_: object) -> None:
        raise failure

    for part in ("alone", "looked_at"):
        with (
            monkeypatch.context() as patched,
            pytest.raises(UserError, match=refused(name, reason)),
        ):
            patched.setattr(adapter, part, fail)
            asked(adapter, dot)


def test_an_image_without_a_placeholder_is_named(seeing, dot):
    adapter = seeing("llava")
    adapter.strings[dot] = "nothing"
    with pytest.raises(UserError, match=refused("llava", "list index out of range")):
        asked(adapter, dot)


@pytest.mark.parametrize("failure", [torch.OutOfMemoryError("full"), MemoryError()])
def test_memory_that_runs_out_is_about_no_image(seeing, dot, monkeypatch, failure):
    adapter = seeing("llava")

    def fail(_: object) -> None:
        raise failure

    monkeypatch.setattr(adapter, "looked_at", fail)
    with pytest.raises(type(failure)):
        asked(adapter, dot)


def test_weights_that_go_straight_to_a_device_are_the_same(family, folder):
    host, straight = (load_adapter(folder, family, "float32", at) for at in ("cpu", "cpu:0"))
    for tensors in ("named_parameters", "named_buffers"):
        found = dict(getattr(straight.model, tensors)())
        expected = dict(getattr(host.model, tensors)())
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], value) for name, value in expected.items())
