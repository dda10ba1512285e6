"""The engine beside its peers: the same weights, prompts and answers, in one run.

Three things are asked of each, as ``peer_calls.py`` calls it:

patch  one vector in place of the residual stream at the last token of some queries, at every layer
read   the residual streams of all layers at the last token of some prompts
heads  another value in place of one head's output at a query's last token, for every head. The
       engine cannot do this yet, so here the peers' times are over those of plain hooks.

There are two settings. ``text`` is SmolLM2-135M: 8 queries of a country, 8 prompts of five
exemplars. ``image`` is a random model in LLaVA's proportions, 32 layers, and 2 prompts of 600
tokens, 576 of them an image's. Not every peer takes a LLaVA, so all peers get its language model
and the embedded prompts as ``inputs_embeds``, made beforehand. All prompts of a setting have as
many tokens, which spares the peers padding.

Each peer runs in a process of its own, on one thread. They take turns, so that what else the
machine does hits all of them. Answers must be the same, residual streams within `TOLERANCE`.
Prints one ``name: value`` a line, times over the engine's (median of the rounds, smallest,
largest) and the peak resident memory of the process, libraries and weights in it, in GB; then
the README's table.
"""

from __future__ import annotations

import csv
import multiprocessing
import random
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from engine import prompt, random_model
from peer_calls import SMOLLM2, Calls, Work, nnsight, ours, plain_hooks, pyvene, transformer_lens
from safetensors.torch import load, save
from torch import Tensor
from transformers import LlamaForCausalLM

from taskvectors.models.base import Encoded
from taskvectors.models.text import TextAdapter
from taskvectors.study.prompts import Text, find_template

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 1e-3  # of residual streams, relative and absolute
ROUNDS = 3  # after one to warm up
TEXT_PROMPTS, EXEMPLARS, IMAGE_PROMPTS, IMAGE_WIDTH = 8, 5, 2, 256


def alike(prompts: Sequence[Encoded]) -> list[Encoded]:
    """The first of the prompts that have the commonest number of tokens."""
    ((length, _),) = Counter(len(one.ids) for one in prompts).most_common(1)
    return [one for one in prompts if len(one.ids) == length][:TEXT_PROMPTS]


def text() -> Work:
    """Countries, asked for without exemplars and, to be read, after some with their capitals."""
    adapter = TextAdapter.load(SMOLLM2, "smollm2", "float32")
    template = find_template(ROOT / "resources/templates.yaml", "generic")
    with (ROOT / "resources/entities/countries.csv").open(encoding="utf-8") as file:
        countries = [(Text(row["entity"]), row["capital"]) for row in csv.DictReader(file)]
    queries = alike([adapter.encode(template.query(country)) for country, _ in countries])
    rng = random.Random(0)
    draws = [rng.sample(countries, EXEMPLARS) for _ in range(20 * TEXT_PROMPTS)]
    asked = (template.exemplars(draw) + template.query(rng.choice(countries)[0]) for draw in draws)
    prompts = alike([adapter.encode(one) for one in asked])
    return Work(adapter, adapter.model, queries, prompts, *replacements(adapter.model))


def image() -> Work:
    """A LLaVA's language model takes the embedded prompts; its modules are the LLaVA's own."""
    adapter = random_model(IMAGE_WIDTH)
    llava = adapter.model
    with torch.device("meta"):
        model = LlamaForCausalLM(llava.config.text_config)
    model.model, model.lm_head = llava.model.language_model, llava.lm_head
    prompts = [prompt(number) for number in range(IMAGE_PROMPTS)]
    return Work(adapter, model.eval(), prompts, prompts, *replacements(model))


def replacements(model: LlamaForCausalLM) -> tuple[Tensor, Tensor]:
    """Random vectors (layers, width) and heads' outputs (layers, heads, head width)."""
    torch.manual_seed(0)
    config = model.config
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    vectors = torch.randn(layers, config.hidden_size)
    return vectors, torch.randn(layers, heads, config.head_dim)


ENGINE, HOOKS = "this engine", "plain hooks"
PEERS: dict[str, Callable[[Work], Calls]] = {
    ENGINE: ours, HOOKS: plain_hooks, "nnsight": nnsight,
    "transformer-lens": transformer_lens, "pyvene": pyvene,
}  # fmt: skip
SETTINGS: dict[str, Callable[[], Work]] = {"text": text, "image": image}
# The first peer that does a task is what the others are compared with.
TASKS = {
    ("text", "patch"): list(PEERS), ("text", "read"): list(PEERS),
    ("text", "heads"): list(PEERS),
    ("image", "patch"): list(PEERS), ("image", "read"): list(PEERS),
}  # fmt: skip


def serve(peer: str, setting: str, pipe: Connection) -> None:
    """Do the tasks that are asked for; answer with the result and how long it took."""
    torch.set_num_threads(1)
    work = SETTINGS[setting]()
    with torch.inference_mode():
        calls = PEERS[peer](work)
        while task := pipe.recv_bytes().decode():
            began = time.perf_counter()
            result = getattr(calls, task)()
            seconds = torch.tensor(time.perf_counter() - began, dtype=torch.float64)
            pipe.send_bytes(save({"result": result.contiguous(), "seconds": seconds}))
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
    pipe.send_bytes(save({"peak": torch.tensor(peak)}))


class Server:
    """A peer in a process of its own."""

    def __init__(self, peer: str, setting: str):
        self.pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        context.Process(target=serve, args=(peer, setting, theirs), daemon=True).start()
        theirs.close()

    def call(self, task: str) -> dict[str, Tensor]:
        """`serve`'s answer. Raises EOFError where the process has died."""
        self.pipe.send_bytes(task.encode())
        return load(self.pipe.recv_bytes())


def in_turns(servers: dict[str, Server], task: str) -> dict[str, list[float]]:
    """Seconds by peer and round; the round that warms up compares the results."""
    results = {peer: server.call(task)["result"] for peer, server in servers.items()}
    first, *others = results.values()
    for other in others:
        if first.is_floating_point():
            torch.testing.assert_close(other, first, rtol=TOLERANCE, atol=TOLERANCE)
        else:
            assert torch.equal(other, first), f"{task}: not the same answers"
    took: dict[str, list[float]] = {peer: [] for peer in servers}
    for _ in range(ROUNDS):
        for peer, server in servers.items():
            took[peer].append(float(server.call(task)["seconds"]))
    return took


def measured(setting: str) -> tuple[dict[str, dict[str, list[float]]], dict[str, float]]:
    """By task and peer the rounds' times over the first peer's, and each peer's memory."""
    servers = {peer: Server(peer, setting) for peer in PEERS}
    ratios = {}
    for (where, task), peers in TASKS.items():
        if where != setting:
            continue
        took = in_turns({peer: servers[peer] for peer in peers}, task)
        base = took[peers[0]]
        print(f"{setting}_{task}_seconds: {statistics.median(base):.3f}", flush=True)
        ratios[task] = {
            peer: [one / other for one, other in zip(times, base, strict=True)]
            for peer, times in took.items()
        }
    return ratios, {peer: float(server.call("")["peak"]) for peer, server in servers.items()}


def printed(setting: str) -> dict[str, dict[str, str]]:
    """Print a setting's measures; return its columns of the table, by title and peer."""
    ratios, memory = measured(setting)
    columns: dict[str, dict[str, str]] = {}
    for task, by_peer in ratios.items():
        cells = columns[f"{task}, {setting}"] = {}
        for peer, found in by_peer.items():
            median = statistics.median(found)
            name = f"{setting}_{task}_{peer.replace(' ', '_')}"
            print(f"{name}: {median:.2f} {min(found):.2f} {max(found):.2f}")
            cells[peer] = f"{median:.1f}" if median >= 10 else f"{median:.2f}"
    columns[f"GB, {setting}"] = {peer: f"{peak:.2f}" for peer, peak in memory.items()}
    for peer, peak in memory.items():
        print(f"{setting}_memory_{peer.replace(' ', '_')}: {peak:.2f}")
    return columns


def main() -> None:
    columns = {title: cells for setting in SETTINGS for title, cells in printed(setting).items()}
    print(f"\n| | {' | '.join(columns)} |\n{'|---' * (len(columns) + 1)}|")
    for peer in PEERS:
        name = peer if peer in (ENGINE, HOOKS) else f"{peer} {version(peer)}"
        cells = [column[peer] for column in columns.values()]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
