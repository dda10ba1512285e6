"""The mean of a context is that of its tokens' residual streams, for every family."""

from __future__ import annotations

import torch

from taskvectors.engine.contexts import read_contexts
from taskvectors.engine.forward import run
from taskvectors.engine.trees import whole
from taskvectors.study.prompts import ImageInput, Text


def test_a_contexts_mean_is_that_of_its_tokens_in_rows_of_different_length(adapter, images):
    takes_images = adapter.image_text is not None
    shown = ImageInput(images[0]) if takes_images else Text("Chad")
    prompts = [
        adapter.encode((Text("Chad:N'Djamena Togo:"),)),
        adapter.encode((shown, Text("red and a rather longer row than the first one:"))),
    ]
    if takes_images:
        adapter.see([images[0]])
    rows = [whole(prompt) for prompt in prompts]
    counts = [len(prompts[0].ids) - 1, len(prompts[1].ids) - 3]
    with read_contexts(adapter, counts) as contexts:
        run(adapter, rows, reads=[(0, 0)])
    found = contexts.on_host()
    assert found.shape == (2, len(adapter.layers), adapter.width)
    every = [(row, at) for row, count in enumerate(counts) for at in range(count)]
    read, _ = run(adapter, rows, reads=every)
    alone = [read[: counts[0]].mean(0), read[counts[0] :].mean(0)]
    torch.testing.assert_close(found, torch.stack(alone), atol=1e-4, rtol=1e-4)
