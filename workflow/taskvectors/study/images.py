"""Where the images and the table of each entity set are from."""

import hashlib
import json
from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from taskvectors.study import entities
from taskvectors.study.own_images import own_tables, read_own_images
from taskvectors.study.rows import is_own, read_rows

FOLDER, WIKIPEDIA = "folder", "wikipedia"
# What a folder's images depend on, of its table.
SHOWN = ("entity", "file", *entities.OWN_COLUMNS)


@dataclass(frozen=True)
class ImagePlan:
    """The entity sets of an experiment, and where each one's images are from.

    ``entity_sets`` are those of the configured tasks. Paths are relative to the repository's root,
    in which ``resources`` lies.
    """

    config: dict[str, Any]
    entity_sets: Set[str]
    resources: Path = Path("resources")

    @property
    def root(self) -> Path:
        """The repository's root."""
        return self.resources.parent

    @property
    def results(self) -> str:
        """Where the images are collected."""
        return f"results/{self.config['experiment']}/collect"

    @cached_property
    def own_tables(self) -> dict[str, Path]:
        """Entity sets whose images are in a folder, to the table there."""
        return own_tables(self.config["own_images"], self.root)

    @property
    def learned(self) -> list[str]:
        """The entity sets whose names the vision tower learns."""
        return sorted(self.config["learned_sets"])

    def rendering(self, entity_set: str) -> str:
        """What shows an entity set where it is evaluated: a folder, or `images.evaluation`."""
        own = entity_set in self.own_tables
        return FOLDER if own else str(self.config["images"]["evaluation"])

    def table(self, entity_set: str) -> str:
        """The table that has an entity set's labels: in resources/, or else in its folder."""
        committed = Path("resources/entities", f"{entity_set}.csv")
        if entity_set in self.own_tables and not (self.root / committed).is_file():
            return self.own_tables[entity_set].as_posix()
        return committed.as_posix()

    # -- what is collected -----------------------------------------------------------------

    def place(self, rendering: str, entity_set: str) -> str:
        """The folder with a rendering's images of an entity set. Wikipedia's are one collection."""
        below = rendering if rendering == WIKIPEDIA else f"{rendering}/{entity_set}"
        return f"{self.results}/{below}"

    def manifest(self, entity_set: str) -> str:
        """The manifest of the images that show an entity set where it is evaluated."""
        return f"{self.place(self.rendering(entity_set), entity_set)}/manifest.csv"

    def images(self, entity_set: str) -> str:
        """The folder of those images."""
        return f"{self.place(self.rendering(entity_set), entity_set)}/images"

    def folders(self, entity_sets: Iterable[str]) -> list[str]:
        """The folders of several entity sets, each once."""
        return list(dict.fromkeys(map(self.images, sorted(entity_sets))))

    def manifests(self, entity_sets: Iterable[str]) -> list[str]:
        """The manifests of several entity sets, each once."""
        return list(dict.fromkeys(map(self.manifest, sorted(entity_sets))))

    def training(self, renderings: Iterable[str]) -> list[str]:
        """The manifests of what vision towers learn from."""
        return [
            f"{self.place(rendering, entity_set)}/manifest.csv"
            for rendering in renderings
            for entity_set in self.learned
        ]

    def of_wikipedia(self, learned: bool) -> list[str]:
        """The entity sets that Wikipedia can be asked about, whatever shows them: all but those in
        folders. ``learned`` has the vision tower's, too."""
        wanted = self.entity_sets | (set(self.learned) if learned else set())
        return sorted(wanted - set(self.own_tables))

    # -- folders of one's own --------------------------------------------------------------

    @property
    def own_pattern(self) -> str:
        """A wildcard pattern for the entity sets that have one."""
        return "|".join(self.own_tables) or "no_such_set"

    def own_table(self, entity_set: str) -> str:
        """The table in the folder of an entity set."""
        return self.own_tables[entity_set].as_posix()

    def own_files(self, entity_set: str) -> list[str]:
        """The image files of a folder."""
        images = read_own_images(self.root / self.own_tables[entity_set])
        return [image.path.relative_to(self.root).as_posix() for image in images]

    def own_rows(self, entity_set: str) -> str:
        """A hash of what a folder's images depend on, of its table: all but labels."""
        _, rows = read_rows(self.root / self.own_tables[entity_set])
        shown = [[row.cells.get(column) for column in SHOWN] for row in rows]
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]

    def described(self, entity_set: str) -> bool:
        """Whether descriptions stand in text prompts in place of the names."""
        if self.config["texts"] != "names":
            return True
        table = self.root / self.table(entity_set)
        return is_own(table) and entities.TEXT in read_rows(table)[0]

    def entities_digest(self, entity_set: str) -> str:
        """Changes with the entities of a set, not with any label."""
        return entities.digest(self.root / self.table(entity_set))
