"""A loaded model, and what it can be shown: texts, and images of any kind."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.base.images import fault_of, kept
from taskvectors.base.strict_json import encodable
from taskvectors.engine.load import load_adapter
from taskvectors.jobs.named import ROOT, find_model
from taskvectors.models.base import Adapter
from taskvectors.models.chat import fitted
from taskvectors.models.weights import DTYPES
from taskvectors.study.prompts import ImageInput, Template, Text, find_template

#: A text, or an image: a path (`pathlib.Path`), a PIL image, or an array or tensor
#: (`taskvectors.base.images.from_array`).
Shown = str | Path | Image.Image | np.ndarray | Tensor
#: What can only mean an image elsewhere: its file, its bytes, or its address.
IMAGE_LINK = re.compile(
    r"(file://|data:image/)\S+$|https?://\S+\.(png|jpe?g|gif|webp|bmp|tiff?|avif)(\?\S*)?$", re.I
)
LONGEST_LINK = 80  # characters that a message shows
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
        """What is shown, as prompts have it; of an image a copy as it is seen now, upright and in 8
        bits, so that what becomes of it afterwards changes no answer.

        Raises `UserError` where an image is none, or a text is the path of one.
        """
        if isinstance(shown, str):
            if fault_of(Path(shown)) is None:
                raise UserError(
                    f"{shown!r} is the path of an image, but a str is read as a text; show "
                    "pathlib.Path(…) of it."
                )
            if IMAGE_LINK.match(shown):
                raise UserError(
                    f"{shown[:LONGEST_LINK]!r} is the link of an image, but a str is read as a "
                    "text, and nothing is fetched; show pathlib.Path(…) of the image's file."
                )
            return Text(shown)
        folder = Path(self._folder.name)
        if isinstance(shown, Path):
            if not encodable(str(shown)):
                raise UserError(f"the name of the image {str(shown)!r} is not UTF-8; rename it.")
            return ImageInput(str(kept(shown, folder, f"the image {shown}", "give another")))
        if isinstance(shown, Image.Image):
            named = f"the opened image {getattr(shown, 'filename', '')}".rstrip()
            return ImageInput(str(kept(shown, folder, named, "give another")))
        if isinstance(shown, Tensor):
            # NumPy has no bfloat16.
            plain = shown.float() if shown.is_floating_point() else shown
            try:
                shown = plain.numpy(force=True)
            except (TypeError, NotImplementedError) as error:
                raise UserError(
                    f"the values of a tensor of {shown.dtype} on {plain.device} cannot be read; "
                    "give a dense one that has values, or a PIL image."
                ) from error
        if not isinstance(shown, np.ndarray):
            raise UserError(
                f"a {type(shown).__name__} is neither a text nor an image; give a str, or a "
                "pathlib.Path, a PIL image or an array."
            )
        named = f"the array of shape {shown.shape} and type {shown.dtype}"
        remedy = "give (height, width, 3) of type uint8, or a PIL image"
        return ImageInput(str(kept(shown, folder, named, remedy)))


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
    devices = {None, "cpu", *(["cuda"] if torch.cuda.is_available() else [])}
    devices |= {f"cuda:{number}" for number in range(torch.cuda.device_count())}
    if not isinstance(device, str | None) or device not in devices:
        raise UserError(
            f"a model cannot be loaded on {device!r} here; name cpu, or cuda with a GPU."
        )
    if not isinstance(dtype, str | None) or dtype not in {None, *DTYPES}:
        raise UserError(f"the dtype {dtype!r} is unknown; choose one of {', '.join(DTYPES)}.")
    found = find_model(str(name_or_folder), dtype)
    adapter = load_adapter(found.folder, found.name, found.dtype, device)
    return Model(adapter, fitted(find_template(TEMPLATES, template), adapter), found.revision)
