# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` work from a bare clone: they make a virtual environment in .venv,
# build gradsmith into it (incrementally, in build/) and run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES := pyproject.toml CMakeLists.txt README.md LICENSE \
           $(shell find csrc python -type f -not -name '*.pyc' -not -name '*.so' 2>/dev/null)
CXX_FILES := $(shell find csrc bench -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \
               2>/dev/null)
ASAN_SITE := build/asan-site

RUNS ?= build/gallery
NAMES ?=

.PHONY: demo test test-all lint format docs gallery bench asan clean

demo: $(VENV)/installed
	$(BIN)/gradsmith demo

test: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python -m pytest -q -n auto -m "not slow"

test-all: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python -m pytest -q -n auto

lint: $(VENV)/installed $(VENV)/test-tools $(VENV)/lint-tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)
	$(BIN)/python -m mypy
	$(BIN)/python -m mypy.stubtest gradsmith._cpu --mypy-config-file pyproject.toml \
	  --allowlist tests/stubtest_allowlist.txt --ignore-unused-allowlist

format: $(VENV)/lint-tools
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

# The pages of docs/ and of the API, as HTML in build/docs; a warning is an error.
docs: $(VENV)/installed $(VENV)/docs-tools
	$(BIN)/python -m sphinx -q -W --keep-going -j auto -b html docs build/docs

# Full runs of all recipes, or of NAMES, and docs/gallery from them. A folder in RUNS that holds such
# a run already is taken as it is.
gallery: $(VENV)/installed $(VENV)/test-tools
	$(BIN)/python -m docs.make_gallery --runs $(RUNS) $(NAMES)

bench: $(VENV)/installed
	$(BIN)/python bench/run.py

# The Cases under AddressSanitizer and UndefinedBehaviorSanitizer. Python itself leaks on exit by
# design, so leaks are not looked for.
asan: $(VENV)/installed $(VENV)/test-tools
	$(PIP) --no-build-isolation --no-deps --upgrade --target $(ASAN_SITE) \
	  -Cbuild-dir=build/asan -Ccmake.define.GRADSMITH_SANITIZE=ON -Ccmake.define.GRADSMITH_CUDA=OFF .
	PYTHONPATH=$(ASAN_SITE) ASAN_OPTIONS=detect_leaks=0 \
	  LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so.6)" \
	  $(BIN)/python -m pytest -q -n auto -p no:cacheprovider \
	  -k "TestCases and (forward or backward or layouts or threads or schedules) or test_large_problems or \
	  test_gemm_paths or test_rnn_shapes or test_attention_blocks or test_pool_layouts or \
	  test_pool_gradients or test_pool_strides or test_resampling_paths or test_norm_long or \
	  test_elementwise_layout or test_vector_lanes"

clean:
	rm -rf build $(VENV)

$(VENV)/build-tools: Makefile
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and \
	  'gradsmith needs Python 3.11 or later, this is ' + sys.version.split()[0])"
	$(PYTHON) -m venv $(VENV)
	$(PIP) "scikit-build-core>=1.0,<2" "pybind11>=3.0.1,<4" "cmake>=3.20" ninja
	touch $@

$(VENV)/installed: $(VENV)/build-tools $(SOURCES)
	$(PIP) --no-build-isolation .
	touch $@

$(VENV)/test-tools: $(VENV)/build-tools pyproject.toml
	$(PIP) "pytest>=8" "pytest-xdist>=3.5" "hypothesis>=6.100" "scikit-learn>=1.4" \
	  "matplotlib>=3.8" "Pillow>=10" "tensorboard>=2.20" "optuna>=4" "selenium>=4.20" \
	  "gymnasium>=1.0"
	touch $@

$(VENV)/lint-tools: $(VENV)/build-tools pyproject.toml
	$(PIP) "mypy>=1.11,<3" "ruff>=0.6" "clang-format>=18,<23"
	touch $@

$(VENV)/docs-tools: $(VENV)/build-tools pyproject.toml
	$(PIP) "sphinx>=8" "myst-parser>=4" "furo>=2024.8"
	touch $@
