#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds, tests and times gradsmith on a machine with an NVIDIA GPU, without a network or pip:
#
#   bench/gpu.sh [build] [test] [sanitize] [check] [bench]      build, check and bench unless named
#
# `check` is `test` and `sanitize` side by side: they wait for the host more than for the GPU. All
# of these are left out if an addition on the GPU fails.
# It needs nvcc, CMake, ninja, pybind11, CuPy, PyTorch and pytest for `python3`; without `build` it
# takes the extensions that lie in python/gradsmith, built elsewhere for the same Python. Each stage
# has a time limit, in seconds (BUILD_LIMIT, TEST_LIMIT, SANITIZE_LIMIT, BENCH_LIMIT). Logs, JUnit
# reports and rows go to build/gpu_results; a table of the stages is printed last.
# ARCHITECTURES (default 90a) is what the kernels are compiled for, FAMILIES what is timed, ROUNDS how
# often; TESTS are arguments for pytest, SANITIZED an expression for its -k. $OUT gets one archive.
cd "$(dirname "$0")/.." || exit 1
stages=${*:-build check bench}
out=$PWD/build/gpu_results
build=${BUILD:-build/gpu}
table=$out/table.txt
mkdir -p "$out" "$build"
: >"$table"
rm -f "$out/device.log"
for folder in /usr/local/cuda/bin /usr/local/cuda-13.0/bin; do
  command -v nvcc >/dev/null || PATH=$folder:$PATH
done
# CuPy compiles some of its functions when they are called, and does not look where nvcc lies.
export CUDA_PATH=${CUDA_PATH:-$(dirname "$(dirname "$(command -v nvcc)")")}
export PYTHONPATH=$PWD/python:$PWD PYTHONDONTWRITEBYTECODE=1 LOST_CONTEXTS=$out
# Plugins that are not ours may warn, and warnings are errors.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
pytest="python3 -m pytest -p no:cacheprovider -p pytest_timeout -m gpu -q"
# The files whose tests know of devices: collecting the others takes longer than running these.
tests=${TESTS:-$(grep -lE 'CaseTests|device_isa|gpu' tests/test_*.py)}

# The kernels of 16 bits are the ones with copies and products that run beside the threads.
sanitized='(test_forward or test_backward) and bfloat16 or test_gpu_sizes and float16'

# run_stage NAME SECONDS COMMAND...: into NAME.log; a line for the table says how it went.
run_stage() {
  local name=$1 limit=$2 start=$SECONDS
  shift 2
  echo "== $name"
  timeout --kill-after=15 "$limit" "$@" >"$out/$name.log" 2>&1
  local status=$?
  local said=ok
  if [ $status -ne 0 ]; then said="failed ($status)"; fi
  if [ $status -eq 124 ] || [ $status -eq 137 ]; then said="past its $limit s"; fi
  printf '%-22s %5d s   %-14s %s\n' "$name" $((SECONDS - start)) "$said" \
    "$(grep -v '^ *$' "$out/$name.log" | tail -1 | cut -c1-90)" >>"$table"
  return $status
}

build_stage() {
  run_stage configure 60 cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DGRADSMITH_CUDA=ON "-DGRADSMITH_CUDA_ARCHITECTURES=${ARCHITECTURES:-90a}" \
    "-DPython_EXECUTABLE=$(command -v python3)" \
    "-Dpybind11_DIR=$(python3 -m pybind11 --cmakedir)" || return 1
  run_stage build "${BUILD_LIMIT:-300}" ninja -C "$build" -k 0 _cuda _cpu || return 1
  ln -sf "$(realpath "$build")"/_c*.so python/gradsmith/
}

test_stage() {
  local -x GRADSMITH_NUM_THREADS=2 # of each process
  # Kernels run one at a time on the GPU; the processes share the work of the host. A kernel that hangs
  # ends its process: a signal would wait for the driver's call to return.
  run_stage test "${TEST_LIMIT:-150}" $pytest -p xdist.plugin -p tests.gpu_context \
    -n "${PROCESSES:-6}" --max-worker-restart=60 --timeout=60 --timeout-method=thread --maxfail=400 \
    --tb=short "--junitxml=$out/junit.xml" $tests
  grep -E '^(FAILED|ERROR) ' "$out/test.log" | sed 's/ - .*//' | sort | uniq -c | sort -rn |
    head -40
}

# sanitize_with TOOL
sanitize_with() {
  local -x GRADSMITH_NUM_THREADS=2
  run_stage "$1" "${SANITIZE_LIMIT:-60}" compute-sanitizer --tool "$1" --error-exitcode 9 \
    --print-limit 20 $pytest --timeout=50 --maxfail=10 -k "${SANITIZED:-$sanitized}" $tests
  grep -E '^========= +(Invalid|Error|Race|ERROR SUMMARY|RACECHECK SUMMARY)' "$out/$1.log" |
    sort | uniq -c | head -20
}

sanitize_stage() {
  sanitize_with memcheck
  sanitize_with racecheck
}

check_stage() {
  test_stage &
  sanitize_with memcheck &
  sanitize_with racecheck &
  wait
}

# A process for each family: a kernel that fails takes the context of its process with it.
bench_stage() {
  local family limit=${BENCH_LIMIT:-200} start=$SECONDS
  for family in ${FAMILIES:-gemm memory_bound attention conv rnn optim training}; do
    local left=$((limit - (SECONDS - start)))
    if [ $left -lt 5 ]; then
      echo "bench_$family: not begun" >>"$table"
      continue
    fi
    run_stage "bench_$family" $left python3 bench/run.py "$family" --device cuda --against torch \
      --rounds "${ROUNDS:-5}" --json "$out/bench_$family.json"
    grep -v '^below' "$out/bench_$family.log"
  done
  run_stage join 20 python3 bench/join.py "$out/bench.json" "$out"/bench_*.json
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
nvcc --version | tail -2 | head -1
for stage in $stages; do
  if [ "$stage" != build ] && [ ! -f "$out/device.log" ]; then
    run_stage device 60 python3 -c "import gradsmith as gs; print(gs.ones(3, device='cuda') + 1)" ||
      { cat "$out/device.log" && break; }
  fi
  case $stage in
    build | test | sanitize | check | bench) ${stage}_stage || [ "$stage" != build ] || break ;;
    *) echo "unknown stage $stage (expected build, test, sanitize, check or bench)" && exit 2 ;;
  esac
done
if [ -f "$out/build.log" ]; then grep -E 'error|FAILED' "$out/build.log" | head -30; fi
if [ -n "$OUT" ]; then tar -C "$out" -czf "$OUT/results.tar.gz" .; fi
echo "---- stage, seconds, outcome, last line of its log"
cat "$table"
