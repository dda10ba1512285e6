"""How often a pass has the GPU wait for the host: as often for many rows, layers and sites as
for few. A meta device stands for the GPU: what leaves it is counted, and is zeros."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig, LlamaForCausalLM

from taskvectors.engine.contexts import read_contexts
from taskvectors.engine.forward import run
from taskvectors.engine.sweep import Site, sweep
from taskvectors.engine.trees import whole
from taskvectors.models.base import Adapter, Encoded

ATEN = torch.ops.aten
WIDTH, BUDGET = 16, 100_000


COPIES = (ATEN.to, ATEN._to_copy)
QUESTIONS = (ATEN.item, ATEN.is_nonzero, ATEN._local_scalar_dense)


class Crossings(TorchDispatchMode):
    """Counts the copies from the device to the host, and whatever else needs one's numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.to_host = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        asked = function.overloadpacket
        if args and isinstance(args[0], Tensor) and args[0].is_meta:
            if asked in COPIES and kwargs.get("device") == torch.device("cpu"):
                self.to_host += 1
                return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
            if asked in QUESTIONS:
                self.to_host += 1
                return False
        return function(*args, **kwargs)


def adapter_of(layers: int, kind: type[Adapter] = Adapter) -> Adapter:
    config = LlamaConfig(
        hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=2, vocab_size=50,
    )  # fmt: skip
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    return kind(model, SimpleNamespace(pad_token_id=0), "tiny")


def prompts(count: int) -> list[Encoded]:
    lengths = [8 + number % 2 for number in range(count)]
    return [
        Encoded([1] * length, torch.arange(length).unsqueeze(0), {"query": length - 1})
        for length in lengths
    ]


def of_a_sweep(adapter: Adapter, rows: int, vectors: int) -> int:
    """Crossings of one pass of the sweep."""
    layers = len(adapter.layers)
    read = {str(number): torch.zeros(layers, WIDTH) for number in range(vectors)}
    sites = [Site(name, layer) for name in read for layer in range(layers)]
    with Crossings() as crossings:
        passes = list(sweep(adapter, prompts(rows), read, sites, BUDGET))
    assert [len(answers) for answers in passes] == [rows * len(sites)]
    return crossings.to_host


def of_a_read(adapter: Adapter, rows: int, places: int) -> int:
    """Crossings of one pass that reads and answers."""
    at = [(row, place) for row in range(rows) for place in range(places)]
    with Crossings() as crossings:
        read, answers = run(adapter, [whole(one) for one in prompts(rows)], at, answers=at)
    assert read.shape == (len(at), len(adapter.layers), WIDTH) and len(answers) == len(at)
    return crossings.to_host


def of_contexts(adapter: Adapter, rows: int) -> int:
    """Crossings of one pass that reads nothing but the means of its contexts."""
    with Crossings() as crossings:
        with read_contexts(adapter, range(1, rows + 1)) as contexts:
            run(adapter, [whole(one) for one in prompts(rows)])
        assert contexts.on_host().shape == (rows, len(adapter.layers), WIDTH)
    return crossings.to_host


@pytest.mark.parametrize(("layers", "rows"), [(2, 1), (5, 4)])
def test_contexts_are_copied_to_the_host_once(layers, rows):
    assert of_contexts(adapter_of(layers), rows) == 1


@pytest.mark.parametrize(("layers", "rows", "many"), [(2, 1, 1), (2, 3, 2), (5, 4, 7)])
def test_a_pass_copies_to_the_host_once_for_answers_and_once_for_what_it_reads(layers, rows, many):
    assert of_a_sweep(adapter_of(layers), rows, many) == 1
    assert of_a_read(adapter_of(layers), rows, many) == 2


class Asking(Adapter):
    """An adapter that looks at the device's numbers once a layer, which must be noticed."""

    @staticmethod
    def look(_module, _inputs, output: Tensor) -> None:
        assert not output.sum() > 0

    def decode(self, inputs, positions, mask, cache=None) -> None:
        hooks = [layer.register_forward_hook(self.look) for layer in self.layers]
        super().decode(inputs, positions, mask, cache)
        for hook in hooks:
            hook.remove()


def test_a_look_at_the_devices_numbers_is_counted():
    assert of_a_sweep(adapter_of(3, Asking), 2, 1) == 1 + 3
