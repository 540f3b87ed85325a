#!/bin/bash
# bench/run.sh [quick]: our figures beside the yardsticks', into bench/RESULTS.md. `make bench` builds what it needs
# first. Everything runs on this machine and ends with it. RECORDS: entries in the store, one million if not said.
set -eu
cd "$(dirname "$0")/.."
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
exec /usr/bin/python3 -B bench/bench.py "${1:-full}"
