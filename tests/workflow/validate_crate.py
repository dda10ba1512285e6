"""Hold a crate to roc-validator without a network; run by the validator's own Python.

The one thing that the validator fetches is RO-Crate's JSON-LD context. Its published text ships
in the package rocrate 0.14, from where it goes into the validator's cache.
"""

from __future__ import annotations

import io
import os
import sys
from importlib import metadata
from pathlib import Path

from requests import Request, Response
from requests_cache import CachedSession
from urllib3 import HTTPResponse

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "provenance-run-crate-0.5"


def keep(cache: Path, url: str, text: bytes) -> None:
    """Put a page into the validator's cache."""
    headers = {"Content-Type": "application/ld+json"}
    response = Response()
    response.url, response.status_code, response._content = url, 200, text
    response.headers.update(headers)
    response.request = Request("GET", url).prepare()
    response.raw = HTTPResponse(io.BytesIO(text), headers, 200, preload_content=False)
    CachedSession(str(cache), backend="sqlite", expire_after=-1).cache.save_response(response)


def main(crate: str, report: str) -> None:
    cache = Path(report).with_name("http_cache")
    shipped = metadata.distribution("rocrate").locate_file("rocrate/data/ro-crate.jsonld")
    keep(cache, CONTEXT, Path(str(shipped)).read_bytes())
    validator = Path(sys.executable).with_name("rocrate-validator")
    arguments = ["validate", crate, "--profile-identifier", PROFILE, "--no-paging"]
    arguments += ["--offline", "--cache-path", str(cache)]
    arguments += ["--output-format", "json", "--output-file", report]
    os.execv(validator, [str(validator), "--no-interactive", *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
