"""Pages that work without a network, all made by one jinja2 environment.

Text is escaped, and what a template asks for and does not get is an error. A template lies
beside the module that fills it and is named from the package's folder, e.g.
``audit/lineage.html.j2``; what pages share is in ``base/templates``.
"""

import base64
import mimetypes
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, meta
from markupsafe import Markup

from taskvectors.base.errors import UserError
from taskvectors.base.images import open_rgba

PACKAGE = Path(__file__).resolve().parents[1]
THUMBNAIL = 40  # pixels, the longer side


def render_page(template: str, **values: Any) -> str:
    """The page that ``template`` makes of ``values``."""
    return _environment().get_template(template).render(values)


def template_files(template: str) -> list[str]:
    """A template and all that it is made of, from the repository's root: a rule's inputs."""
    path = PACKAGE / template
    parsed = _environment().parse(path.read_text(encoding="utf-8"))
    parts = [name for name in meta.find_referenced_templates(parsed) if name]
    file = path.relative_to(PACKAGE.parents[1]).as_posix()
    return [file, *(file for part in parts for file in template_files(part))]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(link=link, data_uri=data_uri, thumbnail=thumbnail)
    return environment


def link(text: str, url: str) -> str:
    """A link to a web page; of any other address the text alone."""
    if not url.startswith(("https://", "http://")):
        return text
    return Markup('<a href="{}">{}</a>').format(url, text)


def data_uri(path: str | Path) -> str:
    """An image file as a data URI."""
    kind, _ = mimetypes.guess_type(path)
    return f"data:{kind};base64,{base64.b64encode(Path(path).read_bytes()).decode('ascii')}"


def thumbnail(path: Path) -> str:
    """The image, small, as a data URI; empty where there is no such image or it is corrupt."""
    try:
        image = open_rgba(path)
    except UserError:
        return ""
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    packed = BytesIO()
    image.save(packed, "PNG")
    return f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"
