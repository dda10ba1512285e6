"""The backbone's weights are read as data, and are what torch's own reader makes of the file."""

from __future__ import annotations

import pytest
import torch

from taskvectors.base.errors import UserError
from taskvectors.base.packages import package_files
from taskvectors.prepare.backbone import FILE, PACKAGE, read_weights


@pytest.fixture
def file():
    _, root, files = package_files(PACKAGE)
    return next(root / name for name in files if name.endswith(FILE))


def test_the_weights_are_those_that_torch_reads(file):
    ours, own = read_weights(file), torch.load(file, weights_only=True)
    assert list(ours) == list(own)
    for name, tensor in own.items():
        assert ours[name].dtype == tensor.dtype
        assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 1.0])
def test_a_damaged_file_is_named(file, tmp_path, part):
    data = file.read_bytes()
    short = tmp_path / FILE
    short.write_bytes(data[: int((len(data) - 1) * part)])
    with pytest.raises(UserError, match=f"{FILE} is not a file of weights"):
        read_weights(short)
