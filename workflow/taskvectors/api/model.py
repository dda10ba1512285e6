"""A loaded model, and what it can be shown: texts, and images of any kind."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from taskvectors.base.errors import UserError
from taskvectors.base.images import fault_of, save_png
from taskvectors.engine.load import load_adapter
from taskvectors.jobs.named import ROOT, find_model
from taskvectors.models.base import Adapter
from taskvectors.models.chat import fitted
from taskvectors.study.prompts import ImageInput, Template, Text, find_template

#: A text, or an image: a path (`pathlib.Path`), a PIL image, or an array (height, width, 3) of
#: 8 bits.
Shown = str | Path | Image.Image | np.ndarray
TEMPLATES = ROOT / "resources/templates.yaml"


@dataclass
class Model:
    """A loaded model with the template of its prompts; make it with `load`.

    ``revision`` is the commit or hash of its checkpoint.
    """

    adapter: Adapter
    template: Template
    revision: str
    _folder: TemporaryDirectory[str] = field(default_factory=TemporaryDirectory, repr=False)

    @property
    def name(self) -> str:
        """What its vectors say they are of."""
        return self.adapter.name

    @property
    def layers(self) -> int:
        """How many layers it has."""
        return len(self.adapter.layers)

    @property
    def width(self) -> int:
        """The width of its residual stream."""
        return self.adapter.width

    def __repr__(self) -> str:
        kind = "VLM" if self.adapter.image_text is not None else "language model"
        return (
            f"<{kind} {self.name}: {self.layers} layers, {self.width} wide, {self.template.name}>"
        )

    def place(self, shown: Shown) -> Text | ImageInput:
        """What is shown, as prompts have it. Raises `UserError` where an image is none."""
        if isinstance(shown, str):
            return Text(shown)
        if isinstance(shown, Path):
            fault = fault_of(shown)
            if fault is not None:
                raise UserError(f"the image {shown} {fault}; give another.")
            return ImageInput(str(shown))
        return ImageInput(str(self._kept(shown)))

    def _kept(self, shown: Image.Image | np.ndarray) -> Path:
        """An image that has no file, in one of this model's own, by its pixels."""
        image = Image.fromarray(shown) if isinstance(shown, np.ndarray) else shown
        pixels = image.convert("RGBA")
        digest = hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).hexdigest()
        path = Path(self._folder.name) / f"{digest}.png"
        if not path.exists():
            save_png(pixels, path)
        return path


def load(
    name_or_folder: str | Path,
    *,
    template: str = "spaced",
    dtype: str | None = None,
    device: str | None = None,
) -> Model:
    """Load a model by its name in ``resources/models.yaml``, once an experiment prepared it, or
    from a checkpoint folder.

    ``template`` is one of ``resources/templates.yaml``; ``dtype`` one of float32, bfloat16, float16
    and nf4, by default the model's own there; ``device`` cpu or cuda, by default the GPU if there
    is one. Raises `UserError` where there is no such model, template or checkpoint, or where
    experiments prepared different ones of that name.

    >>> load(tiny_folder)
    <VLM tiny: 3 layers, 32 wide, spaced>
    """
    found = find_model(str(name_or_folder), dtype)
    adapter = load_adapter(found.folder, found.name, found.dtype, device)
    return Model(adapter, fitted(find_template(TEMPLATES, template), adapter), found.revision)
