"""Greedy generation of several tokens with a patch held on the delimiter.

The prompt goes through the decoder once and leaves its keys and values, the patched
delimiter's among them, so that what is written after it sees the patch throughout; the
paper's code runs and patches the whole prompt anew for every token, to the same answers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from taskvectors.engine.cached import one_token, prefilled
from taskvectors.engine.finite import whole_named
from taskvectors.engine.forward import Patch, read_answers
from taskvectors.models.base import Adapter, Encoded


def generate(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    tokens: int,
    vector: Tensor | None = None,
    layer: int | None = None,
    added: bool = False,
    one_line: bool = False,
) -> list[list[int]]:
    """Up to ``tokens`` greedy token ids for each prompt, ending before an end-of-text token, or
    before an image's placeholder, which stands for no text; with ``one_line`` ending with the token
    that ends the first line that has any text.

    With ``vector`` (width,) and ``layer``, the residual stream after it at each prompt's last
    token is replaced by the vector throughout, or the vector ``added`` to it. Raises `UserError` as
    `read_answers`.
    """
    if (vector is None) != (layer is None):
        raise ValueError("a patch needs both a vector and a layer")
    patches = []
    if vector is not None and layer is not None:
        patches = [Patch(0, 0, layer, vector, added)]
    return [_written(adapter, prompt, tokens, patches, one_line) for prompt in prompts]


def _written(
    adapter: Adapter, prompt: Encoded, tokens: int, patches: Sequence[Patch], one_line: bool
) -> list[int]:
    cache = prefilled(adapter, prompt)
    token = prompt.ids[-1]
    written: list[int] = []
    while len(written) < tokens:
        ids, positions = torch.tensor([[token]]), prompt.positions[:, None, -1:] + len(written)
        residual = one_token(adapter, ids, positions, cache, patches)
        (answer,) = read_answers(adapter, residual, lambda _: whole_named(adapter, prompt))
        token, patches = answer.token_id, []
        if token in adapter.end_ids or token == adapter.placeholder_id:
            break
        written.append(token)
        if one_line and "\n" in adapter.tokenizer.decode(written).lstrip():
            break
    return written


def first_line(text: str) -> str:
    """What is written before a line ends. Models that are not tuned to chat go on with questions of
    their own."""
    lines = text.strip().splitlines()
    return lines[0].strip() if lines else ""
