"""``python -m taskvectors.compute``: what prompting and patching cost, seconds and memory a query.

As in Table 7 of the ICML version: a query after 5, 10 and 30 text exemplars, short (names) or long
(dense descriptions), against the query alone with a task vector patched in. Queries go one by
one, as a user asks them, from text and pixels to the first token; a query's image goes through the
vision side each time. All of it is measured in one run, patching first.
"""

import argparse
import logging
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

import pandas as pd
from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json
from taskvectors.base.frames import write_frame
from taskvectors.base.progress import track
from taskvectors.engine.forward import Patch, run
from taskvectors.engine.memory import device_name, peak_memory
from taskvectors.engine.trees import whole
from taskvectors.jobs.arguments import (
    add_model,
    add_template,
    load_model,
    load_template,
    load_vectors,
)
from taskvectors.jobs.queries import asked, modalities_of
from taskvectors.models.base import Adapter
from taskvectors.study.datasets import Item, read_items
from taskvectors.study.descriptions import read_descriptions
from taskvectors.study.prompts import QUERY, Prompt, Template, Text
from taskvectors.study.vectors import parse_vector_name

log = logging.getLogger("taskvectors")
EXEMPLARS = (5, 10, 30)
QUERIES = 10  # measured of each; one more goes before them, unmeasured
Pairs = list[tuple[Text, str]]  # an exemplar's input and its label


@dataclass(frozen=True)
class ComputeCost:
    """What one way of asking costs a query.

    ``inputs`` are ``names`` or ``descriptions``, missing for a patched query, which has no
    exemplars; ``distinct`` is how many different exemplars there were to take in turn. ``tokens``
    is the longest prompt's, ``seconds`` are the median over ``queries``, and ``memory_bytes`` is
    the most that was in use at a time: allocated on a GPU, resident on a CPU, where it is sampled.
    """

    model: str
    template: str
    way: str
    inputs: str | None
    exemplars: int
    distinct: int
    query_modality: str
    tokens: int
    seconds: float
    fastest: float
    slowest: float
    memory_bytes: int
    queries: int
    device: str


def exemplars_of(items: Sequence[Item], descriptions: dict[str, str]) -> dict[str, Pairs]:
    """What exemplars can show, by the kind of their inputs; no kind that has none."""
    pairs = {
        "names": [(Text(item.entity), item.label) for item in items],
        "descriptions": [
            (Text(descriptions[item.entity]), item.label)
            for item in items
            if item.entity in descriptions
        ],
    }
    return {inputs: found for inputs, found in pairs.items() if found}


def measured(
    adapter: Adapter, prompts: Sequence[Prompt], items: Sequence[Item], patches: Sequence[Patch]
) -> tuple[list[float], int, int]:
    """Seconds of every prompt but the first, peak memory in bytes, and the most tokens.

    ``patches`` are at index 0 and go to the query's delimiter.
    """
    seconds, tokens, peaks = [], 0, []
    for prompt, item in zip(prompts, items, strict=True):
        adapter.features.pop(item.image)  # so that this query pays for seeing its image
        with peak_memory(adapter.device) as peak:
            start = time.perf_counter()
            encoded = adapter.encode(prompt)
            at = encoded.marks[QUERY.name]
            here = [Patch(0, at, one.layer, one.vector) for one in patches]
            run(adapter, [whole(encoded)], patches=here, answers=[(0, at)])
            seconds.append(time.perf_counter() - start)
        tokens = max(tokens, len(encoded.ids))
        peaks.append(peak.value)
    return seconds[1:], max(peaks[1:]), tokens


@dataclass(frozen=True)
class Asking:
    """One way of asking: its prompts, and what it patches into them."""

    way: str
    inputs: str | None
    exemplars: int
    distinct: int
    prompts: tuple[Prompt, ...]
    patches: tuple[Patch, ...] = ()


def ways_of_asking(
    template: Template, queries: Sequence[Prompt], pairs: dict[str, Pairs], patch: Patch
) -> Iterator[Asking]:
    """Patching first, then prompting with ever more exemplars, short ones before long ones."""
    yield Asking("patch", None, 0, 0, tuple(queries), (patch,))
    for inputs, known in pairs.items():
        for count in EXEMPLARS:
            context = template.exemplars(list(islice(cycle(known), count)))
            prompts = tuple((*context, *query) for query in queries)
            yield Asking("prompt", inputs, count, min(count, len(known)), prompts)


def arguments() -> argparse.Namespace:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument("--items", required=True, type=Path, help="curate/<task>/test.jsonl")
    parser.add_argument("--shown", required=True, type=Path, help="its validation.jsonl")
    parser.add_argument("--entity-set", required=True, help="of the task")
    parser.add_argument("--descriptions", required=True, type=Path)
    parser.add_argument("--vectors", required=True, type=Path)
    parser.add_argument("--layer", required=True, type=Path, help="JSON with the chosen layer")
    parser.add_argument("--out", required=True, type=Path)
    return parse(parser)


def text_vector(vectors: dict[str, Tensor], path: Path) -> Tensor:
    """The first seed's text ICL vector (layers, width). Raises `UserError` where there is none."""
    for name, vector in vectors.items():
        if parse_vector_name(name)[0] == "text_icl":
            return vector
    raise UserError(f"{path} has no text_icl vector; add text_icl to `specifications`.")


def main() -> None:
    args = arguments()
    items = read_items(args.items)[: QUERIES + 1]
    shown = read_items(args.shown)
    described = read_descriptions(args.descriptions).get(args.entity_set, {})
    adapter = load_model(args)
    template = load_template(args, adapter)
    layer = read_json(args.layer)["layer"]
    vector = text_vector(load_vectors(adapter, args.vectors), args.vectors)[layer]
    modality = modalities_of(adapter)[-1]
    queries = [template.query(asked(item, modality)) for item in items]
    pairs, patch = exemplars_of(shown, described), Patch(0, 0, layer, vector)
    asking = list(ways_of_asking(template, queries, pairs, patch))
    costs = []
    for one in track(asking, len(asking), f"measure {args.name}"):
        seconds, peak, tokens = measured(adapter, one.prompts, items, one.patches)
        costs.append(
            ComputeCost(
                model=args.name,
                template=template.name,
                way=one.way,
                inputs=one.inputs,
                exemplars=one.exemplars,
                distinct=one.distinct,
                query_modality=modality,
                tokens=tokens,
                seconds=statistics.median(seconds),
                fastest=min(seconds),
                slowest=max(seconds),
                memory_bytes=peak,
                queries=len(seconds),
                device=device_name(adapter.device),
            )
        )
    write_frame(args.out, pd.DataFrame(map(asdict, costs)))
    log.info("%s: %d ways of asking measured", args.name, len(costs))


if __name__ == "__main__":
    run_command(main)
