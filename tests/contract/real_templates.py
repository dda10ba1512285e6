"""Real chat templates: fetched from package registries as real tokenizers are, never committed.

What is here of them are facts: what they write around an image.
"""

from __future__ import annotations

import ast
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .real_tokenizers import PIP, Archive, only_file, packed_by_npm

TRL = Archive("trl==1.16.0", "c4726e139dd40e1a41661511c639c8a68416782b2e3e8c0befebd77bb7ba0396")
OLLAMA = Archive(
    "@huggingface/ollama-utils@0.0.18",
    "3d8beba35ea5d634970e29090ab45234e54a3db8d9263cf72e0031c1cc44f8d5",
)
AUTOMAP = "package/src/chat-template-automap.ts"


@dataclass(frozen=True)
class Source:
    """Where a family's template is: a package, and its name there; what that writes ``before`` and
    ``behind`` an image, from the beginning of a turn up to the reply."""

    archive: Archive
    name: str
    before: str
    behind: str


QWEN = ("<|im_start|>user\n<|vision_start|>", "<|vision_end|><|im_end|>\n<|im_start|>assistant\n")
IDEFICS = ("User:", "<end_of_utterance>\nAssistant:")
# Those of the package trl are the originals of the repositories that its README names.
SOURCES = {
    "idefics3": Source(TRL, "idefics3", *IDEFICS),
    "smolvlm": Source(TRL, "smolvlm", *IDEFICS),
    "qwen2_vl": Source(TRL, "qwen2_5_vl", *QWEN),
    "qwen2_5_vl": Source(TRL, "qwen2_5_vl", *QWEN),
    "qwen3_vl": Source(TRL, "qwen3_vl", *QWEN),
    "gemma3": Source(
        TRL, "gemma3", "<start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n"
    ),
    "mllama": Source(
        OLLAMA,
        "library/llama3.2-vision:90b",
        "<|start_header_id|>user<|end_header_id|>\n\n",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
}


def of_trl(name: str, into: Path) -> str:
    """A template of the package trl."""
    fetched = only_file(
        [*PIP, "download", "--no-deps", "--dest", str(into), TRL.package], into, TRL
    )
    with zipfile.ZipFile(fetched) as packed:
        return packed.read(f"trl/chat_templates/{name}.jinja").decode()


def of_ollama(name: str, into: Path) -> str:
    """A template as the repository of a model of Ollama's library has it."""
    with tarfile.open(packed_by_npm(OLLAMA, into)) as packed:
        entries = packed.extractfile(AUTOMAP).read().decode()
    quoted = re.search(rf'model: "{re.escape(name)}",\s*gguf: ((["\'])(?:\\.|(?!\2).)*\2)', entries)
    return ast.literal_eval(quoted[1])  # JavaScript's strings are written as Python's here


def load(family: str, folder: Path) -> str:
    """A family's template, fetched into ``folder`` once. Raises `CannotFetchError`."""
    source = SOURCES[family]
    path = folder / f"{source.name.replace('/', '-')}.jinja"
    if not path.is_file():
        with TemporaryDirectory() as unpacked:
            fetch = of_trl if source.archive is TRL else of_ollama
            path.write_text(fetch(source.name, Path(unpacked)), encoding="utf-8", newline="")
    return path.read_text(encoding="utf-8")
