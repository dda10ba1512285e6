"""A model by its name in ``resources/models.yaml`` or by its folder, for use without Snakemake."""

from dataclasses import dataclass
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.study.config import read_models

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Named:
    """A checkpoint folder, what predictions call the model, and its dtype."""

    folder: Path
    name: str
    dtype: str


def find_model(name_or_folder: str, dtype: str | None, root: Path = ROOT) -> Named:
    """The folder itself, or the one that an experiment prepared for the named model.

    Without ``dtype`` a named model has that of ``resources/models.yaml`` and a folder float32.
    Raises `UserError` where a name is unknown or prepared nowhere.
    """
    folder = Path(name_or_folder)
    if folder.is_dir():
        return Named(folder, folder.name, dtype or "float32")
    known = read_models(root / "resources/models.yaml")
    if name_or_folder not in known:
        raise UserError(
            f"{name_or_folder!r} is neither a folder nor a model of resources/models.yaml, which "
            f"has {', '.join(known)}."
        )
    prepared = sorted(root.glob(f"results/*/prepare/{name_or_folder}/config.json"))
    if not prepared:
        raise UserError(
            f"the model {name_or_folder} was not prepared yet; run "
            f"`snakemake --cores 2 results/embedded/prepare/{name_or_folder}`, or give a folder."
        )
    return Named(prepared[0].parent, name_or_folder, dtype or known[name_or_folder].dtype)
