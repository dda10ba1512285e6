"""A lineage as a page: the tree, every picture with a thumbnail, every label with its source."""

from __future__ import annotations

from html import escape

from taskvectors.audit.lineage import Lineage, Record
from taskvectors.audit.markup import document, link, table, thumbnail
from taskvectors.audit.origins import is_manifest, read_pictures
from taskvectors.audit.trace import tree, used_labels


def page(lineage: Lineage, target: Record) -> str:
    """The lineage of ``target`` as HTML."""
    records = lineage.ancestry([target])
    parts = [f"<pre>{escape(chr(10).join(tree(lineage, target)))}</pre>"]
    for record in records:
        if is_manifest(record.path):
            parts.append(_pictures(lineage, record))
    for path in dict.fromkeys(s["path"] for r in records for s in lineage.sources(r)):
        labels = used_labels(lineage, path, records)
        if labels:
            rows = [
                (one.entity, one.column, one.label, one.method, one.source, link(one.url, one.url))
                for one in labels
            ]
            header = ("entity", "label", "value", "method", "source", "page")
            parts.append(table(f"Labels of {path}", header, rows))
    return document(f"Where {target.path} is from", *parts)


def _pictures(lineage: Lineage, manifest: Record) -> str:
    rows = [
        (
            thumbnail(picture.path, picture.entity),
            picture.entity,
            link(picture.url, picture.source),
            picture.revision,
            picture.author,
            link(picture.licence_url, picture.licence),
            picture.sha256[:16],
        )
        for picture in read_pictures(lineage.root / manifest.path)
    ]
    header = ("", "entity", "source", "revision", "author", "licence", "sha256")
    return table(f"Pictures of {manifest.path}", header, rows)
