"""A model by its name in ``resources/models.yaml`` or by its folder, for use without Snakemake."""

from dataclasses import dataclass
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.base.files import is_folder
from taskvectors.models.checkpoint import folder_revision, revision_of
from taskvectors.study.config import read_models

LONGEST_NAME = 255  # characters that are quoted
ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Named:
    """A checkpoint folder, what predictions call the model, and its dtype; and whether an
    experiment prepared it."""

    folder: Path
    name: str
    dtype: str
    prepared: bool

    @property
    def revision(self) -> str:
        """What it is: of a prepared model its commit or hash, of any other folder its hash,
        whatever a file in it says."""
        return revision_of(self.folder) if self.prepared else folder_revision(self.folder)


def find_model(name_or_folder: str, dtype: str | None, root: Path = ROOT) -> Named:
    """The folder itself, or the one that an experiment prepared for the named model.

    Without ``dtype`` a named model has that of ``resources/models.yaml`` and a folder float32.
    Raises `UserError` where a name is unknown, prepared nowhere, or of two different models.
    """
    folder = Path(name_or_folder)
    if is_folder(name_or_folder):
        prepared = folder.resolve() in {path.resolve() for path in root.glob("results/*/prepare/*")}
        return Named(folder, folder.absolute().name, dtype or "float32", prepared)
    known = read_models(root / "resources/models.yaml")
    if name_or_folder not in known:
        raise UserError(
            f"{name_or_folder[:LONGEST_NAME]!r} is neither a folder nor a model of "
            f"resources/models.yaml, which has {', '.join(known)}."
        )
    configs = sorted(root.glob(f"results/*/prepare/{name_or_folder}/config.json"))
    if not configs:
        raise UserError(
            f"the model {name_or_folder} was not prepared yet; run "
            f"`snakemake --cores 2 results/embedded/prepare/{name_or_folder}`, or give a folder."
        )
    dtype = dtype or known[name_or_folder].dtype
    found = [Named(path.parent, name_or_folder, dtype, prepared=True) for path in configs]
    for other in found[1:]:
        if other.revision != found[0].revision:
            raise UserError(
                f"two different models are called {name_or_folder}, in {found[0].folder} and in "
                f"{other.folder}; give the folder of the one that is meant."
            )
    return found[0]
