"""Whether a loaded tokenizer is the one of the checkpoint's tokenizer.json.

transformers 5 builds some tokenizers anew by the rules of their class, and of tokenizer.json takes
the vocabulary alone.
"""

from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer

from taskvectors.base.errors import UserError
from taskvectors.models.foreign import reading

# Texts at whose words, lines and images such rules differ; the image's text is filled in. None has
# a space where a text begins, or goes on after an image: of such transformers 5 leaves out one.
PROBES = (
    "Q:{image}\nA:",
    "Q:Japan\nA:Tokyo\n\nQ: São  Tomé\nA:",
    "{image}\n\n{image}A",
    "東京 42's",
)


def check_tokens(tokenizer: Any, folder: Path, image_text: str = "") -> None:
    """Raise `UserError` where a tokenizer makes other tokens than the folder's tokenizer.json, adds
    one behind a text, where the answer is to be, or does not tell where in a text tokens are.

    Tokens that a tokenizer adds by itself are left out, and an image's text where that file does
    not know it. A folder without the file has nothing to differ from.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(
            f"{folder}: the tokenizer {type(tokenizer).__name__} does not tell where in a text its "
            "tokens are; choose a model with a tokenizer.json."
        )
    *_, last = tokenizer(PROBES[-1])["input_ids"]
    if last in tokenizer.all_special_ids:
        raise UserError(
            f"{folder}: the tokenizer ends every text with {tokenizer.decode([last])!r}, where the "
            "answer is to be; take it out of the post_processor of tokenizer.json."
        )
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    with reading(folder, "the tokenizer"):
        _compare(tokenizer, path, image_text)


def _compare(tokenizer: Any, path: Path, image_text: str) -> None:
    own = Tokenizer.from_file(str(path))
    own.no_truncation()
    own.no_padding()
    known = image_text if own.token_to_id(image_text) is not None else ""
    for text in (probe.format(image=known) for probe in PROBES):
        right = own.encode(text, add_special_tokens=False).ids
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if ids != right:
            raise UserError(
                f"{path}: of {text!r} it makes {len(right)} tokens, but as transformers "
                f"{transformers.__version__} loads it {len(ids)} others; give its files as "
                "they were released, a tokenizer_config.json that states legacy among them."
            )
