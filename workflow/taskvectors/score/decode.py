"""``python -m taskvectors.score.decode``: residual streams through the logit lens.

A residual stream at any layer is decoded by the model's own final norm and unembedding, as its
last one would be (nostalgebraist, 2020; paper, section 2.3). From up to 100 exemplar sets of the
test split, at the delimiter of the query, come ``phases.csv`` (probability of the input, task and
answer tokens, for Figure 3) and ``tops.csv`` (how many sets decode to which token, for Figure 4);
from every specification's mean vector comes ``decodings.csv`` (its likeliest tokens, for Table 2).
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.base.tensors import read_tensors
from taskvectors.engine.finite import refuse
from taskvectors.jobs.arguments import add_model, load_model, load_vectors
from taskvectors.models.base import Adapter
from taskvectors.study.predictions import ICL_MODALITY, read_predictions
from taskvectors.study.tasks import find_task
from taskvectors.study.vectors import (
    INSTRUCTION,
    QUERY_SITE,
    activations_by_seed,
    parse_vector_name,
    sets_in_turn,
)
from taskvectors.study.words import is_word

log = logging.getLogger("taskvectors")
SETS = 100
TOP = 5  # likeliest tokens of a mean vector
PHASES = ("input", "task", "answer")


@dataclass(frozen=True)
class DecodedSets:
    """Residual streams of some exemplar sets: (sets, layers, width), and each set's seed."""

    activations: Tensor
    seeds: tuple[int | None, ...]


@torch.inference_mode()
def probabilities(adapter: Adapter, residual: Tensor) -> Tensor:
    """Residual streams (..., width) to next-token probabilities (..., vocabulary), float32.

    Raises `UserError` where they are no numbers."""
    logits = adapter.logits(residual.to(adapter.device, adapter.dtype))
    found = torch.softmax(logits.float(), dim=-1).cpu()
    wrong = found[..., 0].isnan().flatten().nonzero()
    if len(wrong):
        refuse(adapter, f"number {int(wrong[0])} of the decoded residual streams")
    return found


def vocabulary_of(adapter: Adapter) -> list[str]:
    """Every token's text by its id."""
    tokenizer = adapter.tokenizer.backend_tokenizer
    size = 1 + max(tokenizer.get_vocab().values())
    return tokenizer.decode_batch([[i] for i in range(size)], skip_special_tokens=False)


def word_ids(words: Sequence[str], vocabulary: Sequence[str]) -> list[int]:
    """Ids of the tokens that are one of ``words``, without regard to case and outer space.

    A word that is all space is compared as it stands.
    """
    wanted = {word.casefold() for word in words}
    found = enumerate(vocabulary)
    return [i for i, text in found if (text.strip() or text).casefold() in wanted]


def take_sets(
    activations: dict[str, Tensor], specification: str, most: int = SETS
) -> DecodedSets | None:
    """The test split's first sets, in turn from every seed, at the query's delimiter.

    None where the specification was not read.
    """
    if specification == INSTRUCTION:
        found = activations.get(specification)
        return None if found is None else DecodedSets(found, (None,) * len(found))
    by_seed = activations_by_seed(activations, specification, "test", QUERY_SITE)
    turns = sets_in_turn(by_seed, most)
    if not turns:
        return None
    stacked = torch.stack([by_seed[seed][row] for seed, row in turns])
    return DecodedSets(stacked, tuple(seed for seed, _ in turns))


def decode_sets(
    adapter: Adapter, sets: DecodedSets, phases: dict[str, list[int]]
) -> tuple[list[dict[str, Any]], dict[int, Counter[tuple[int | None, int]]]]:
    """Rows (seed, layer, phase, probability, sets), and top-1 (seed, token id) per layer.

    A phase's probability is the sum over its tokens (ids in ``phases``), averaged over the
    sets of a seed.
    """
    rows, tops = [], {}
    for layer in range(sets.activations.shape[1]):
        likely = probabilities(adapter, sets.activations[:, layer])
        best = likely.argmax(-1).tolist()
        tops[layer] = Counter(zip(sets.seeds, best, strict=True))
        for phase, ids in phases.items():
            sums = likely[:, ids].sum(-1).tolist()
            table = pd.DataFrame({"seed": sets.seeds, "probability": sums})
            for seed, part in table.groupby("seed", dropna=False)["probability"]:
                row = {"seed": seed, "layer": layer, "phase": phase}
                rows.append({**row, "probability": part.mean(), "sets": len(part)})
    return rows, tops


def decode_task(
    adapter: Adapter,
    activations: dict[str, Tensor],
    phases: dict[str, list[int]],
    vocabulary: Sequence[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """``phases.csv`` and ``tops.csv`` of one task."""
    rows, counted = [], []
    for specification in ICL_MODALITY:
        sets = take_sets(activations, specification)
        if sets is None:
            continue
        found, tops = decode_sets(adapter, sets, phases)
        rows += [{"specification": specification, **row} for row in found]
        for layer, counts in tops.items():
            for (seed, token), count in sorted(
                counts.items(), key=lambda pair: (-pair[1], pair[0])
            ):
                about = {"specification": specification, "seed": seed, "layer": layer}
                said = {"token_id": token, **token_text(token, vocabulary)}
                counted.append({**about, **said, "sets": count})
    return pd.DataFrame(rows), pd.DataFrame(counted)


def token_text(token: int, vocabulary: Sequence[str]) -> dict[str, Any]:
    """A token's text, and whether it is a word; an id beyond the vocabulary has no text."""
    text = vocabulary[token] if token < len(vocabulary) else ""
    return {"token": text, "word": is_word(text)}


def decode_vectors(
    adapter: Adapter, vectors: dict[str, Tensor], vocabulary: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """``decodings.csv``: the likeliest tokens of each specification's vectors (layers, width),
    averaged over seeds, at every layer."""
    for specification in ICL_MODALITY:
        found = [v for name, v in vectors.items() if parse_vector_name(name)[0] == specification]
        if not found:
            continue
        best = probabilities(adapter, torch.stack(found).mean(0)).topk(TOP)
        for layer, (tokens, likely) in enumerate(
            zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ):
            for rank, (token, probability) in enumerate(zip(tokens, likely, strict=True), start=1):
                about = {"specification": specification, "layer": layer, "rank": rank}
                yield {**about, **token_text(token, vocabulary), "probability": probability}


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    parser.add_argument("--activations", required=True, type=Path)
    parser.add_argument("--vectors", required=True, type=Path)
    parser.add_argument("--baselines", required=True, type=Path, help="for the labels' tokens")
    parser.add_argument("--tasks", required=True, type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--out", required=True, type=Path, help="a folder")
    args = parse(parser)
    task = find_task(args.tasks, args.task)
    adapter = load_model(args)
    vocabulary = vocabulary_of(adapter)
    phases = {phase: word_ids(task.tokens.get(phase, ()), vocabulary) for phase in PHASES}
    asked = read_predictions([args.baselines])
    # A first token that shows no text, so that more are judged, is the beginning of no answer.
    shown = asked["label_token_ids"].str.isdigit()
    labels = asked.loc[(asked["split"] == "test") & shown, "label_token_id"]
    phases["answer"] = sorted({*phases["answer"], *labels.tolist()})
    by_sets = decode_task(adapter, read_tensors(args.activations), phases, vocabulary)
    of_vectors = decode_vectors(adapter, load_vectors(adapter, args.vectors), vocabulary)
    tables = {
        **dict(zip(("phases", "tops"), by_sets, strict=True)),
        "decodings": pd.DataFrame(of_vectors),
    }
    for name, table in tables.items():
        write_frame(args.out / f"{name}.csv", table)
    log.info("%s: tokens %s", task.name, {phase: len(ids) for phase, ids in phases.items()})


if __name__ == "__main__":
    run_command(main)
