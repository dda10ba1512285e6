"""What every adapter must do, on tiny random weights of its real architecture class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import BatchFeature

from taskvectors.base.errors import UserError
from taskvectors.base.images import open_rgb
from taskvectors.engine.cached import cached_sweep
from taskvectors.engine.forward import Answer, HookError, Patch, layer_hooks, run
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.sweep import Site, sweep
from taskvectors.engine.trees import Row, cut, whole
from taskvectors.jobs.arguments import check_vectors
from taskvectors.jobs.queries import asked_together, same_exemplars
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.generic import GenericAdapter
from taskvectors.study.prompts import (
    EXEMPLAR,
    QUERY,
    ImageInput,
    Mark,
    Prompt,
    Template,
    Text,
)

from .families import FAMILIES

TEMPLATE = Template("generic", "Q:", "\nA:", "\n\n", "")
CLOSE = {"atol": 1e-4, "rtol": 0.0}
VERY_CLOSE = {"atol": 1e-5, "rtol": 0.0}


def text_icl() -> Prompt:
    return TEMPLATE.exemplars([(Text("Japan"), "Tokyo"), (Text("Peru"), "Lima")])


def image_icl(images: list[str]) -> Prompt:
    return TEMPLATE.exemplars([(ImageInput(images[0]), "Tokyo")])


def queries(adapter: Adapter, images: list[str]) -> list[Encoded]:
    """Text queries of different lengths, and where the model sees, an image."""
    asked: list[Text | ImageInput] = [Text("France"), Text("Kenya 2345 6789")]
    if adapter.image_text is not None:
        asked.append(ImageInput(images[1]))
    return [adapter.encode(TEMPLATE.query(one)) for one in asked]


def contexts(adapter: Adapter, images: list[str]) -> list[Encoded]:
    """Exemplars and query in every modality the model takes, one after the other."""
    prompts = [(*text_icl(), *TEMPLATE.query(Text("France")))]
    if adapter.image_text is not None:
        prompts += [
            (*text_icl(), *TEMPLATE.query(ImageInput(images[1]))),
            (*image_icl(images), *TEMPLATE.query(Text("France"))),
            (*image_icl(images), *TEMPLATE.query(ImageInput(images[1]))),
        ]
    return [adapter.encode(prompt) for prompt in prompts]


def last_of(prompt: Encoded) -> int:
    return len(prompt.ids) - 1


def outputs(adapter: Adapter, prompt: Encoded, patches: Iterable[Patch] = ()) -> Tensor:
    """Residual streams (layers, width) at a prompt's last token."""
    read, _ = run(adapter, [whole(prompt)], [(0, last_of(prompt))], list(patches))
    return read[0]


def logits_of(adapter: Adapter, residual: Tensor) -> Tensor:
    """Logits of what was read (..., width), on the host as that is."""
    return adapter.logits(residual.to(adapter.device)).cpu()


def random_vectors(adapter: Adapter, count: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (len(adapter.layers), adapter.width)
    return {str(n): 3 * torch.randn(shape, generator=generator) for n in range(count)}


def test_patching_a_tokens_own_activation_changes_nothing(adapter, images):
    for prompt in contexts(adapter, images):
        own = outputs(adapter, prompt)
        logits = logits_of(adapter, own[-1])
        for layer, vector in enumerate(own):
            patched = outputs(adapter, prompt, [Patch(0, last_of(prompt), layer, vector)])
            torch.testing.assert_close(logits_of(adapter, patched[-1]), logits, **VERY_CLOSE)


def test_every_sweep_answers_as_one_pass_per_patch_does(adapter, images):
    prompts = queries(adapter, images)
    vectors = random_vectors(adapter, 2)
    sites = [Site(name, layer) for layer in range(len(adapter.layers)) for name in vectors]
    expected = naive_sweep(adapter, prompts, vectors, sites)
    assert len({answer.token_id for _, _, answer in expected}) > 1
    budget = 2 * max(len(prompt.ids) for prompt in prompts)
    for one_pass in [sweep, cached_sweep] if adapter.branching else [cached_sweep]:
        for tokens_per_pass in (budget, 4096):
            batches = one_pass(adapter, prompts, vectors, sites, tokens_per_pass)
            assert_same_answers([result for batch in batches for result in batch], expected)


def assert_same_answers(
    found: list[tuple[int, Site, Answer]], expected: list[tuple[int, Site, Answer]]
) -> None:
    wanted = {(number, site): answer for number, site, answer in expected}
    assert len(found) == len(wanted)
    for number, site, answer in found:
        assert answer.token_id == wanted[number, site].token_id, (number, site)
        assert answer.logit_difference == pytest.approx(
            wanted[number, site].logit_difference, abs=1e-4
        )


def test_a_batch_answers_as_its_prompts_alone_do(adapter, images):
    prompts = queries(adapter, images) + contexts(adapter, images)
    ends = [(row, last_of(prompt)) for row, prompt in enumerate(prompts)]
    together, answers = run(adapter, [whole(prompt) for prompt in prompts], ends, answers=ends)
    for prompt, read, answer in zip(prompts, together, answers, strict=True):
        alone = outputs(adapter, prompt)
        torch.testing.assert_close(read, alone, **CLOSE)
        assert answer.token_id == int(logits_of(adapter, alone[-1]).argmax())


def test_branches_answer_as_whole_prompts_do(adapter, images):
    prompts = contexts(adapter, images)
    if not adapter.branching:
        trunk, last = cut(prompts[0], last_of(prompts[0]))
        with pytest.raises(UserError, match="cannot hold branches"):
            run(adapter, [Row(trunk, (last, last))])
        return
    for first in range(0, len(prompts), 2):
        group = prompts[first : first + 2]
        if not same_exemplars(group):  # Mantis: no BOS where no image is
            assert adapter.name == "fuyu"
            with pytest.raises(UserError, match="merges the end of the exemplars"):
                asked_together(group)
            group = group[1:]
        row, ends = asked_together(group)
        together, _ = run(adapter, [row], [(0, end) for end in ends])
        for prompt, read in zip(group, together, strict=True):
            torch.testing.assert_close(read, outputs(adapter, prompt), **CLOSE)


def test_the_forward_pass_is_the_models_own(family, adapter, images):
    for encoded, text, shown in own_prompts(family, adapter, images):
        inputs = own_inputs(family, adapter, encoded, text, shown)
        assert encoded.ids == inputs["input_ids"][0].tolist()
        with torch.inference_mode():
            own = adapter.model(**inputs, output_hidden_states=True)
        at = last_of(encoded)
        read = outputs(adapter, encoded)
        skipped = FAMILIES[family].skips and not shown
        assert len(own.hidden_states) == len(adapter.layers) + (0 if skipped else 1)
        # The last of Hugging Face's hidden states is after the final norm.
        for layer in range(0 if skipped else len(adapter.layers) - 1):
            hidden = own.hidden_states[layer + 1][0, at].cpu()
            torch.testing.assert_close(read[layer], hidden, **CLOSE)
        torch.testing.assert_close(logits_of(adapter, read[-1]), own.logits[0, at].cpu(), **CLOSE)


def own_prompts(
    family: str, adapter: Adapter, images: list[str]
) -> list[tuple[Encoded, str, list[str]]]:
    """Prompts encoded, as the processor takes them, and their images."""
    text = "Q:Japan\nA:Tokyo\n\nQ:France\nA:"
    prompts = [(adapter.encode((Text(text), QUERY)), text, [])]
    if FAMILIES[family].images:
        first, second = ImageInput(images[0]), ImageInput(images[1])
        pieces = (Text("Q:"), first, Text("\nA:Tokyo\n\nQ:"), second, Text("\nA:"), QUERY)
        shown = str(adapter.image_text).join(adapter.frame)
        text = f"Q:{shown}\nA:Tokyo\n\nQ:{shown}\nA:"
        prompts.append((adapter.encode(pieces), text, images[:2]))
    return prompts


def own_inputs(
    family: str, adapter: Adapter, encoded: Encoded, text: str, shown: list[str]
) -> BatchFeature:
    """What the family's own processor makes of a prompt, for its own forward pass."""
    inputs = processed(family, adapter, encoded, text, shown)
    return BatchFeature(inputs).to(adapter.device)


def processed(
    family: str, adapter: Adapter, encoded: Encoded, text: str, shown: list[str]
) -> dict[str, Tensor]:
    if not FAMILIES[family].processed:
        inputs = {"input_ids": torch.tensor([encoded.ids])}
        if shown:
            patches = [adapter.alone(image)["pixel_values"] for image in shown]
            inputs["pixel_values"] = torch.cat(patches).unsqueeze(0)
        return inputs
    if not shown:
        return dict(adapter.tokenizer(text, return_tensors="pt"))
    images = [open_rgb(Path(image)) for image in shown]
    if FAMILIES[family].nested:
        images = [images]
    options = FAMILIES[family].options
    inputs = dict(adapter.processor(text=[text], images=images, return_tensors="pt", **options))
    return begun_once(adapter, inputs) if FAMILIES[family].twice else inputs


def begun_once(adapter: Adapter, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the first of two tokens that begin a prompt, which is there."""
    assert inputs["input_ids"][0, :2].tolist() == [adapter.tokenizer.bos_token_id] * 2
    of_tokens = ("input_ids", "attention_mask", "cross_attention_mask")
    return inputs | {name: inputs[name][:, 1:] for name in of_tokens}


def test_hooks_that_miss_raise(adapter, images):
    with pytest.raises(HookError, match="did not fire exactly once"):  # noqa: SIM117
        with layer_hooks(adapter, lambda layer, hidden: None):
            pass
    prompt = queries(adapter, images)[0]
    with pytest.raises(HookError, match="counts"):  # noqa: SIM117
        with layer_hooks(adapter, lambda layer, hidden: None):
            run(adapter, [whole(prompt)])
            run(adapter, [whole(prompt)])


def test_the_patched_token_is_the_colon_of_the_prompt(adapter, images):
    for prompt in contexts(adapter, images):
        assert prompt.marks[QUERY.name] == last_of(prompt)
        assert adapter.neighbourhood(prompt.ids, last_of(prompt)).endswith("A>:<")
        exemplar = adapter.neighbourhood(prompt.ids, prompt.marks[EXEMPLAR.name])
        answer = "Lima" if exemplar.endswith("L") or "Lima" in exemplar else "Tokyo"
        before, after = exemplar.split(">:<")
        assert before.endswith("A") and answer.startswith(after[:1])


def test_a_delimiter_merged_with_its_neighbour_is_cut_off_or_refused(adapter):
    prompt = (Text("Q:Ja"), QUERY, Text("pan\nA:"))
    if not adapter.cuttable:
        with pytest.raises(UserError, match="merges the query delimiter"):
            adapter.encode(prompt)
        return
    encoded = adapter.encode(prompt)
    at = encoded.marks[QUERY.name] + 1
    assert encoded.forced_boundary
    assert encoded.ids[:at] == adapter.encode((Text("Q:Ja"), QUERY)).ids
    assert adapter.tokenizer.decode(encoded.ids[at:]) == "pan\nA:"
    assert not adapter.encode(TEMPLATE.query(Text("Japan"))).forced_boundary


def test_a_mark_before_all_text_has_no_token(adapter):
    with pytest.raises(UserError, match="delimiter"):
        adapter.encode((Mark("start"), Text("Q:Japan")))


def test_placeholders_are_as_many_as_features(family, adapter, folder, images):
    if not FAMILIES[family].images:
        with pytest.raises(UserError, match="takes no images"):
            adapter.encode(TEMPLATE.query(ImageInput(images[0])))
        return
    for prompt in contexts(adapter, images):
        found = list(adapter.image_features(prompt.images))
        placeholders = sum(token == adapter.placeholder_id for token in prompt.ids)
        assert placeholders == sum(map(len, found))
        assert all(one.features.shape[-1] == adapter.width for one in found)
        for end in prompt.image_ends:
            assert prompt.ids[end - 1] == adapter.placeholder_id


def test_a_text_with_a_placeholder_is_refused(family, adapter):
    if FAMILIES[family].images:
        placeholder = adapter.tokenizer.decode([adapter.placeholder_id])
        with pytest.raises(UserError, match="which stands for an image"):
            adapter.encode(TEMPLATE.query(Text(f"the {placeholder} word")))


def test_features_that_do_not_fill_the_placeholders_are_refused(family, folder, images, load):
    if not FAMILIES[family].images:
        return
    adapter = load(folder, family)
    prompt = adapter.encode(TEMPLATE.query(ImageInput(images[0])))
    outputs(adapter, prompt)
    kept = adapter.features[images[0]]
    adapter.features[images[0]] = replace(kept, features=kept.features[:-1])
    with pytest.raises(UserError, match=f"{len(kept)} image.*{len(kept) - 1} features"):
        outputs(adapter, prompt)


def test_vectors_of_another_shape_are_refused(adapter, images):
    prompt = queries(adapter, images)[0]
    layers, width = len(adapter.layers), adapter.width
    wide = torch.zeros(layers, width + 1)
    with pytest.raises(ValueError, match=rf"\({width + 1},\).*\({width},\)"):
        outputs(adapter, prompt, [Patch(0, 0, 0, wide[0])])
    for wrong in (wide, torch.zeros(layers + 1, width)):
        with pytest.raises(UserError, match=rf"\({len(wrong)}, .*\({layers}, {width}\)"):
            check_vectors(adapter, {"text_icl": wrong}, Path("vectors.safetensors"))
    with pytest.raises(ValueError, match=f"layer {layers} does not exist"):
        outputs(adapter, prompt, [Patch(0, 0, layers, wide[0, :-1])])


def test_the_first_and_the_last_layer_patch(adapter, images):
    vector = random_vectors(adapter, 1)["0"][0]
    for prompt in queries(adapter, images):
        before = outputs(adapter, prompt)
        patch = Patch(0, last_of(prompt), 0, vector)
        after = outputs(adapter, prompt, [patch])
        torch.testing.assert_close(after[0], vector)
        assert all((after[layer] - before[layer]).abs().max() > 0.1 for layer in (1, -1))
        last = len(adapter.layers) - 1
        patch = Patch(0, last_of(prompt), last, vector)
        read, answers = run(
            adapter,
            [whole(prompt)],
            [(0, last_of(prompt))],
            [patch],
            [(0, last_of(prompt))],
        )
        torch.testing.assert_close(read[0, :-1], before[:-1])
        logits = logits_of(adapter, vector)
        assert answers[0].token_id == int(logits.argmax())
        best = logits.topk(2).values
        assert answers[0].logit_difference == pytest.approx(float(best[0] - best[1]), abs=1e-4)


def test_padding_is_no_placeholder(family, adapter):
    if isinstance(adapter, GenericAdapter):
        assert adapter.pad_id != adapter.placeholder_id
