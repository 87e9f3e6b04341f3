# Each target is a few plain commands; nothing is hidden. `make demo` and `make test` are the contract.
.PHONY: help setup demo lab test test-slow test-lowest test-newest test-python check format widgets catalogue notebooks docs \
  screenshots bench constraints release-check clean
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PIP := $(BIN)/uv pip install --quiet --system-certs --compile-bytecode --python $(BIN)/python --constraint constraints.txt
# Hundreds of processes are started, and each would compile our modules anew where their bytecode may not be kept.
export PYTHONDONTWRITEBYTECODE :=
# What touches each direct dependency, through public doors: what a version of Python or of a package may break.
SMOKE := tests/foundation tests/model_parts tests/artifact/test_loading.py tests/artifact/test_loadback.py \
  tests/stats/test_laws.py tests/steps/test_track.py tests/steps/test_evaluate.py tests/steps/test_register.py \
  tests/steps/test_promote.py tests/steps/test_deploy.py tests/steps/test_predict.py tests/frontends/test_magics.py
# The panel in JupyterLab, a card in Notebook 7: what a version of either may break. It takes Chromium.
PANEL := tests/browser/test_lab_panel.py tests/browser/test_notebook7.py
# Old packages and new ones warn each other; what they say is no fault of ours.
OLD := -W ignore::DeprecationWarning -W ignore::FutureWarning
SOURCES := pyproject.toml constraints.txt $(wildcard hatch_build.py) $(wildcard widgets/package-lock.json)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv

$(VENV)/.demo: $(SOURCES) | $(BIN)/uv
	$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(SOURCES) | $(BIN)/uv
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

setup: $(VENV)/.dev ## make the contributor's environment

demo: $(VENV)/.demo ## run the quickstart end to end, headless, and ask the live endpoint
	$(BIN)/python notebooks/demo.py

lab: $(VENV)/.demo ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir notebooks

check: $(VENV)/.dev ## lint, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check $(VENV)/.dev ## everything but the slow tests
	$(BIN)/pytest -m "not slow and not alone" -n 4 --dist loadfile --no-loadscope-reorder
	$(BIN)/pytest -m "alone and not slow"

test-slow: $(VENV)/.dev ## simulations, soak, Ray, PostgreSQL (Debian's postgresql), S3
	$(PIP) --editable '.[dev,ray,serve]'
	$(BIN)/pytest -m slow

test-lowest: RESOLUTION := lowest-direct
test-newest: RESOLUTION := highest
test-lowest: $(BIN)/uv ## the smoke tests and the panel on the lowest version of each direct dependency, JupyterLab's too
test-newest: $(BIN)/uv ## the same on the newest version of all that pyproject.toml allows
test-lowest test-newest:
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) build/$(@:test-%=%)
	$(BIN)/uv pip install --quiet --system-certs --python build/$(@:test-%=%)/bin/python --resolution $(RESOLUTION) --editable '.[smoke,lab]'
	$(BIN)/uv pip install --quiet --system-certs --python build/$(@:test-%=%)/bin/python --constraint constraints.txt playwright
	$(BIN)/uv pip list --python build/$(@:test-%=%)/bin/python | grep -E '^(jupyterlab|notebook|mlflow|ipython|scikit-learn|pandas|numpy) '
	build/$(@:test-%=%)/bin/python -m pytest -q -m "not slow" $(OLD) $(SMOKE)
	build/$(@:test-%=%)/bin/python -m pytest -q -m "not slow" $(OLD) $(PANEL)

test-python: $(BIN)/uv ## the smoke tests on another Python: make test-python VERSION=3.13
	$(BIN)/uv venv --quiet --clear --python $(VERSION) build/python-$(VERSION)
	$(BIN)/uv pip install --quiet --system-certs --python build/python-$(VERSION)/bin/python --constraint constraints.txt --editable '.[smoke]'
	build/python-$(VERSION)/bin/python -m pytest -q -m "not slow" $(SMOKE)

notebooks: $(VENV)/.dev ## validate the notebooks with nbval, twice on one store
	$(BIN)/pytest tests/notebooks

docs: $(VENV)/.dev ## build the site into dist/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

screenshots: $(VENV)/.dev ## take the pictures of the documentation anew, in a real JupyterLab
	cd tests && $(BIN)/python -m browser.screenshots

release-check: $(VENV)/.dev ## build wheel and sdist, look through them, install and try them: dist/
	$(BIN)/python tests/package/releasing.py dist

widgets: $(VENV)/.dev ## build the front end
	cd widgets && npm ci --no-audit --no-fund && npm run check && npm run build

catalogue: $(VENV)/.dev ## write the words of the JupyterLab extension for translators: dist/mlops_magics.pot
	$(BIN)/python widgets/catalogue.py dist/mlops_magics.pot

bench: $(VENV)/.dev ## side-by-side benchmarks: make bench NAME=load [ARGS=...]
	$(BIN)/python tests/benchmarks/$(NAME).py $(ARGS)

format: $(VENV)/.dev ## put the code in the house's form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

constraints: $(VENV)/.dev ## pin what CI and the two commands install
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra ray --extra serve --extra xgboost --universal --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --quiet --upgrade --output-file constraints.txt

clean: ## remove what was built
	rm -rf $(VENV) dist build widgets/node_modules mlops_magics/frontends/widgets/static
