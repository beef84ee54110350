#!/bin/sh
# Everything on a GPU that is lent for minutes: tests and checks beside each other, then, alone, the times.
# Usage: sh benchmarks/gpu/lent.sh FOLDER; records and logs are left there, each part's as soon as there is something.
out=$1
export PYTHONUNBUFFERED=1 PYTHONPATH=.:kernels:benchmarks:tests/support
run="python3 -W ignore benchmarks/gpu/run.py"
nvidia-smi --query-gpu=name,driver_version,clocks.max.sm --format=csv,noheader >"$out/log.txt"
timeout 85 python3 -m pytest -c /dev/null --rootdir . -p no:cacheprovider --import-mode=importlib -q -n 5 --tb=short \
    tests/kernels/gpu >"$out/tests.txt" 2>&1 &
tests=$!
timeout 85 $run --parts checks --minutes 0.9 --out "$out/checks.json" >>"$out/log.txt" 2>&1
wait $tests
date >>"$out/log.txt"
timeout 62 $run --parts kernels --minutes 0.8 --checked "$out/checks.json" --out "$out/kernels.json" >>"$out/log.txt" 2>&1
date >>"$out/log.txt"
timeout 75 $run --parts models --minutes 0.9 --checked "$out/checks.json" --out "$out/models.json" >>"$out/log.txt" 2>&1
date >>"$out/log.txt"
rm -f "$out"/*.png
tail -n 4 "$out/tests.txt"
tail -n 150 "$out/log.txt"
