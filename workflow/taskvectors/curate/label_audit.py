"""``python -m taskvectors.curate.label_audit``: our labels beside what Wikipedia's infoboxes say.

It changes nothing: a disagreement is for a person to look at, by the link beside it.
"""

import logging
import re
import unicodedata
from pathlib import Path

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.study.entities import Entity, read_entities

log = logging.getLogger("taskvectors")
REVISION = "https://en.wikipedia.org/w/index.php?oldid="
COLUMNS = ["entity_set", "entity", "label", "ours", "infobox", "verdict", "title", "url"]


def fold(text: str) -> str:
    """Text without accents, case and punctuation: what two spellings may differ in."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"['’ʻ‘`]", "", plain)
    return " ".join(re.findall(r"\w+", plain))


def verdict(ours: str, infobox: str) -> str:
    """Whether an infobox's words hold our label, as whole words."""
    if not infobox:
        return "infobox silent"
    return "agrees" if f" {fold(ours)} " in f" {fold(infobox)} " else "disagrees"


def audit_labels(entities: list[Entity], infoboxes: pd.DataFrame) -> pd.DataFrame:
    """One row per label that an infobox could state; disagreements first."""
    labels = {(entity.entity_set, entity.name): entity.labels for entity in entities}
    rows = []
    for said in infoboxes.to_dict("records"):
        ours = labels.get((said["entity_set"], said["entity"]), {}).get(said["label"])
        if ours is None:
            continue
        url = f"{REVISION}{said['revision']}" if int(said["revision"]) else ""
        result = verdict(ours, said["infobox"])
        names = [said["entity_set"], said["entity"], said["label"]]
        rows.append([*names, ours, said["infobox"], result, said["title"], url])
    table = pd.DataFrame(rows, columns=COLUMNS)
    order = {"disagrees": 0, "infobox silent": 1, "agrees": 2}
    return table.sort_values("verdict", key=lambda column: column.map(order), kind="stable")


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--entities", required=True, nargs="+", type=Path)
    parser.add_argument("--infoboxes", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    entities = [entity for table in args.entities for entity in read_entities(table)]
    table = audit_labels(entities, pd.read_csv(args.infoboxes, keep_default_na=False))
    for label, part in table.groupby("label"):
        counts = part["verdict"].value_counts()
        log.info("%s: %s", label, ", ".join(f"{n} {name}" for name, n in counts.items()))
    write_frame(args.out, table)


if __name__ == "__main__":
    run_command(main)
