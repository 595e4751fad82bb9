#!/usr/bin/env bash
# Measure everything that a GPU is asked for, in at most four minutes of computing.
#
#     benchmarks/gpu.sh PAIR.safetensors [FOLDER]
#
# PAIR.safetensors comes from `python benchmarks/gpu.py pack`. Nothing is installed. FOLDER (by
# default the present one) gets gpu.tsv, row by row, and gpu.log.
set -u
cd "$(dirname "$0")/.."
pair=$1
folder=${2:-.}
python=${PYTHON:-python3}
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>/dev/null
PYTHONUNBUFFERED=1 "$python" benchmarks/gpu.py run "$pair" "$folder/gpu.tsv" --minutes "${MINUTES:-4}" \
  2>&1 | tee "$folder/gpu.log"
# The tests of the GPU, where pytest is there.
"$python" -c 'import pytest' 2>/dev/null && "$python" -m pytest -q -m gpu tests/gpu 2>&1 | tee -a "$folder/gpu.log"
exit 0
