"""``python -m taskvectors.score.decode``: the query's delimiter through the logit lens.

The residual streams at the delimiter of the query, over up to 100 exemplar sets of the test
split, are decoded at every layer with the saved final norm and unembedding (paper, section
2.3); no model is loaded. Figures 3 and 4 are drawn from the two files that this writes:
``phases.csv`` (probability of the input, task and answer tokens) and ``tops.csv`` (how many
sets decode to which token).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_text
from taskvectors.base.tensors import read_tensors
from taskvectors.engine.lens import Lens, read_lens
from taskvectors.study.predictions import read_predictions
from taskvectors.study.tasks import find_task
from taskvectors.study.words import is_word

log = logging.getLogger("taskvectors")
SETS = 100
PHASES = ("input", "task", "answer")


@dataclass(frozen=True)
class Sets:
    """Residual streams of some exemplar sets: (sets, layers, width), and each set's seed."""

    activations: Tensor
    seeds: tuple[int | None, ...]


def read_vocabulary(path: Path) -> list[str]:
    """Every token's text by its id, from ``tokenizer.json``. Raises `UserError` without one."""
    if not path.is_file():
        raise UserError(f"{path} is missing; prepare the model again with its fast tokenizer.")
    tokenizer = Tokenizer.from_file(str(path))
    size = 1 + max(tokenizer.get_vocab().values())
    return tokenizer.decode_batch([[i] for i in range(size)], skip_special_tokens=False)


def word_ids(words: Sequence[str], vocabulary: Sequence[str]) -> list[int]:
    """Ids of the tokens that are one of ``words``, without regard to case and outer space.

    A word that is all space is compared as it stands.
    """
    wanted = {word.casefold() for word in words}
    found = enumerate(vocabulary)
    return [i for i, text in found if (text.strip() or text).casefold() in wanted]


def take_sets(activations: dict[str, Tensor], specification: str, most: int = SETS) -> Sets | None:
    """The test split's first sets, in turn from every seed, at the query's delimiter.

    None where the specification was not read.
    """
    if specification == "instruction":
        found = activations.get(specification)
        return None if found is None else Sets(found.float(), (None,) * len(found))
    by_seed = {}
    for name, tensor in activations.items():
        read, *where = name.split("/")
        if read == specification and where[0] == "test" and where[2] == "query":
            by_seed[int(where[1])] = tensor
    longest = max((len(tensor) for tensor in by_seed.values()), default=0)
    turns = [
        (seed, row)
        for row in range(longest)
        for seed, tensor in sorted(by_seed.items())
        if row < len(tensor)
    ][:most]
    if not turns:
        return None
    stacked = torch.stack([by_seed[seed][row] for seed, row in turns])
    return Sets(stacked.float(), tuple(seed for seed, _ in turns))


@torch.inference_mode()
def decode(
    lens: Lens, sets: Sets, phases: dict[str, list[int]]
) -> tuple[list[dict], dict[int, Counter[tuple[int | None, int]]]]:
    """Rows (seed, layer, phase, probability, sets), and top-1 (seed, token id) per layer.

    A phase's probability is the sum over its tokens (ids in ``phases``), averaged over the
    sets of a seed.
    """
    rows, tops = [], {}
    for layer in range(sets.activations.shape[1]):
        probabilities = lens.probabilities(sets.activations[:, layer])
        best = probabilities.argmax(-1).tolist()
        tops[layer] = Counter(zip(sets.seeds, best, strict=True))
        for phase, ids in phases.items():
            sums = probabilities[:, ids].sum(-1).tolist()
            table = pd.DataFrame({"seed": sets.seeds, "probability": sums})
            for seed, part in table.groupby("seed", dropna=False)["probability"]:
                row = {"seed": seed, "layer": layer, "phase": phase}
                rows.append({**row, "probability": part.mean(), "sets": len(part)})
    return rows, tops


def decode_task(
    lens: Lens,
    activations: dict[str, Tensor],
    phases: dict[str, list[int]],
    vocabulary: Sequence[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """``phases.csv`` and ``tops.csv`` of one task."""
    rows, counted = [], []
    for specification in ("text_icl", "image_icl", "instruction"):
        sets = take_sets(activations, specification)
        if sets is None:
            continue
        found, tops = decode(lens, sets, phases)
        rows += [{"specification": specification, **row} for row in found]
        for layer, counts in tops.items():
            for (seed, token), count in sorted(
                counts.items(), key=lambda pair: (-pair[1], pair[0])
            ):
                text = vocabulary[token] if token < len(vocabulary) else ""
                about = {"specification": specification, "seed": seed, "layer": layer}
                about["token_id"] = token
                counted.append({**about, "token": text, "word": is_word(text), "sets": count})
    return pd.DataFrame(rows), pd.DataFrame(counted)


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--activations", required=True, type=Path)
    parser.add_argument("--baselines", required=True, type=Path, help="for the labels' tokens")
    parser.add_argument("--lens", required=True, type=Path)
    parser.add_argument("--tokenizer", required=True, type=Path, help="a tokenizer.json")
    parser.add_argument("--tasks", required=True, type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--out", required=True, type=Path, help="a folder")
    args = parse(parser)
    task = find_task(args.tasks, args.task)
    vocabulary = read_vocabulary(args.tokenizer)
    phases = {phase: word_ids(task.tokens.get(phase, ()), vocabulary) for phase in PHASES}
    asked = read_predictions([args.baselines])
    labels = asked.loc[asked["split"] == "test", "label_token_id"]
    phases["answer"] = sorted({*phases["answer"], *labels.tolist()})
    activations = read_tensors(args.activations)
    tables = decode_task(read_lens(args.lens), activations, phases, vocabulary)
    for table, file in zip(tables, ("phases.csv", "tops.csv"), strict=True):
        write_text(args.out / file, table.to_csv(index=False, lineterminator="\n"))
    log.info("%s: tokens %s", task.name, {phase: len(ids) for phase, ids in phases.items()})


if __name__ == "__main__":
    run_command(main)
