"""``python -m taskvectors.score.context``: contexts beside task vectors, at the chosen layer.

As in Figure 2 of the ICML version: the mean residual stream of an exemplar set's tokens, and
the vector at its last delimiter, after the same layer. The finding there: contexts cluster by
modality, i.e. by specification, and vectors by task; silhouettes (`taskvectors.score.tsne`) put
numbers to it.
"""

import logging
from pathlib import Path

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import read_json
from taskvectors.base.frames import write_frame
from taskvectors.score.tsne import embed, set_vectors, silhouettes
from taskvectors.study.vectors import CONTEXT_SITE, EXEMPLAR_SITE, INSTRUCTION

log = logging.getLogger("taskvectors")
READ_AT = {"context": CONTEXT_SITE, "vector": EXEMPLAR_SITE}
KEYS = ("task", "specification")
COLUMNS = ["read", "layer", "task", "specification", "seed", "set", "x", "y"]
COLUMNS += [f"silhouette_{key}" for key in KEYS]


def context_places(files: list[Path], tasks: list[str], layer: int) -> pd.DataFrame:
    """A row per exemplar set and what is read of it: its place, and the two mean silhouettes.

    Both are taken over exemplar sets alone: an instruction has no exemplars.
    """
    parts = []
    for read, site in READ_AT.items():
        about, vectors = set_vectors(files, tasks, site)
        exemplars = (about["specification"] != INSTRUCTION).to_numpy()
        about, here = about[exemplars], vectors[exemplars, layer]
        place = embed(here)
        part = about.assign(read=read, layer=layer, x=place[:, 0], y=place[:, 1])
        for key in KEYS:
            part[f"silhouette_{key}"] = silhouettes(here, about[key].tolist()).mean()
        parts.append(part)
    return pd.concat(parts)[COLUMNS].astype({"seed": int, "set": int})


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--activations", required=True, type=Path, nargs="+", help="of each task")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--layer", required=True, type=Path, help="JSON with the chosen layer")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    table = context_places(args.activations, args.tasks, read_json(args.layer)["layer"])
    write_frame(args.out, table)
    log.info("%d places", len(table))


if __name__ == "__main__":
    run_command(main)
