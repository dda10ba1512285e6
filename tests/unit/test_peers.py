"""The peers of the benchmark: each is pinned, and leads to the page that says how it is called.

Their environment is not the tests', so the files are looked at and not imported.
"""

from __future__ import annotations

import ast

import pytest

PEERS = {"plain_hooks", "nnsight", "transformer_lens", "pyvene"}


@pytest.mark.parametrize("peer", sorted(PEERS))
def test_how_a_peer_is_called_has_its_page(root, peer):
    tree = ast.parse((root / "benchmarks/peer_calls.py").read_text(encoding="utf-8"))
    (called,) = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == peer
    ]
    assert "https://" in (ast.get_docstring(called) or "")


def test_the_libraries_beside_the_engine_are_pinned(root):
    lines = (root / "envs/peers.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    assert pinned >= {name.replace("_", "-") for name in PEERS - {"plain_hooks"}}
    direct = (root / "envs/direct.txt").read_text(encoding="utf-8").splitlines()
    assert {line for line in direct if line.startswith(("torch==", "transformers=="))} <= {*lines}
