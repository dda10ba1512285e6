"""A lineage as a page: the tree, every image with a thumbnail, every label with its source."""

from __future__ import annotations

from html import escape

from taskvectors.audit.lineage import Lineage, Record
from taskvectors.audit.markup import document, link, table, thumbnail
from taskvectors.audit.tree import tree, used_labels
from taskvectors.study.manifest import is_manifest, read_manifest


def page(lineage: Lineage, target: Record) -> str:
    """The lineage of ``target`` as HTML."""
    records = lineage.ancestry([target])
    parts = [f"<pre>{escape(chr(10).join(tree(lineage, target)))}</pre>"]
    for record in records:
        if is_manifest(record.path):
            parts.append(_images(lineage, record))
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


def _images(lineage: Lineage, manifest: Record) -> str:
    rows = [
        (
            thumbnail(image.path, image.entity),
            image.entity,
            link(image.url, image.source),
            image.revision,
            image.author,
            link(image.licence_url, image.licence),
            image.sha256[:16],
        )
        for image in read_manifest(lineage.root / manifest.path)
    ]
    header = ("", "entity", "source", "revision", "author", "licence", "sha256")
    return table(f"Images of {manifest.path}", header, rows)
