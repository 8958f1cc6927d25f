#!/usr/bin/env bash
# ruff over the cells of the pages named, which it only reads. 88 characters are what a page shows without scrolling.
set -euo pipefail
status=0
for page in "$@"; do
    grep -q "^kernelspec:" "$page" || continue  # a plain page
    cells() { jupytext --quiet --to ipynb --output - "$page"; }
    options=(--config "line-length = 88" --stdin-filename "${page%.md}.ipynb" -)
    cells | ruff check --quiet --ignore E501 "${options[@]}" || status=1
    cells | ruff format --quiet --check "${options[@]}" || { echo "$page: its cells are not formatted" >&2; status=1; }
done
exit $status
