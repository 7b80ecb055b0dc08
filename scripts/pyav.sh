#!/usr/bin/env bash
# Installs PyAV and imageio-ffmpeg for tests into a folder of its own, target/pyav: wheels from PyPI (35 and 68 MB) with the
# libraries of an FFmpeg newer than Debian's, and with its program.
# Quick and silent when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=target/pyav wanted=tests/requirements.txt
cmp -s "$wanted" "$folder/installed" && exit 0
# Debian's own Python: the one that setup.sh has made sure of.
python=/usr/bin/python3
[ -x "$python" ] || python=python3
"$python" -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --requirement "$wanted"
cp "$wanted" "$folder/installed"
