"""The table or figure that is rendered, the files that it shows, and the command that does it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import read_json
from taskvectors.base.frames import read_frame
from taskvectors.render.captions import caption
from taskvectors.study.inputs import NamedInputs, add_input_options, inputs_by_name

log = logging.getLogger("taskvectors")


@dataclass(frozen=True)
class ShownItem(NamedInputs):
    """One item of one experiment.

    ``seeing`` are the models whose vision tower was trained here; how well it sees stands beside
    every result. ``out`` is a path without ending. Table 6 compares ``templates``; Tables 4 and
    7 have ``language_models``, one for each of the models.
    """

    name: str
    experiment: str
    seeing: list[str]
    out: Path
    templates: list[str]
    language_models: list[str]

    def naming(self) -> dict[str, Path]:
        """How well the models of ``seeing`` name images, by model: ``naming.json``."""
        folders = self.by("seeing", self.seeing)
        return {model: folder / "naming.json" for (model,), folder in folders.items()}

    def caption(self, samples: list[str]) -> str:
        """The item's caption with this experiment's sample sizes."""
        return caption(self.one("caption"), self.experiment, samples, self.naming())

    def published(self) -> pd.DataFrame:
        """The paper's own numbers of this item."""
        return read_frame(self.one("published"))

    def frames(self, name: str) -> dict[str, pd.DataFrame]:
        """A table per model."""
        return {model: read_frame(path) for model, path in self.by_model(name).items()}

    def joined(self, name: str) -> pd.DataFrame:
        """The tables of all models as one, its first column the model."""
        return pd.concat(self.frames(name), names=["model", None]).reset_index("model")

    def chosen_layers(self) -> dict[str, int]:
        """The layer that was chosen, by model: the input ``layer``."""
        return {model: read_json(path)["layer"] for model, path in self.by_model("layer").items()}


def render_command(
    documentation: str | None, renderers: dict[str, Callable[[ShownItem], None]]
) -> None:
    """The command of a module that renders the items ``renderers`` has."""

    def main() -> None:
        parser = command_parser(documentation)
        parser.add_argument("--item", required=True, choices=renderers)
        parser.add_argument("--experiment", required=True)
        add_input_options(parser)
        parser.add_argument(
            "--seeing", nargs="*", default=[], help="models whose vision tower is trained here"
        )
        parser.add_argument("--out", required=True, type=Path, help="path without ending")
        parser.add_argument("--templates", nargs="+", default=[], help="all that are compared")
        parser.add_argument("--language-models", nargs="+", default=[], help="of the models")
        args = parse(parser)
        item = ShownItem(
            models=args.models,
            tasks=args.tasks,
            inputs=inputs_by_name(args),
            name=args.item,
            experiment=args.experiment,
            seeing=args.seeing,
            out=args.out,
            templates=args.templates,
            language_models=args.language_models,
        )
        renderers[item.name](item)
        log.info("rendered %s", item.out)

    run_command(main)
