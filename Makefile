# make dream                      install, make a sample film, dream it
# make dream VIDEO="my film.mp4"  dream a film of one's own
# make test                       everything that has to hold
# make studio                     install what the studio needs, and open it on this folder, or FILMS="a folder"
# make test-browser               the studio's tests in the system's Chromium
# make coverage                   the same tests, and how many lines and branches of mmdream they reach
# make docs                       the documentation, into build/docs
# make release                    sdist and wheel into dist, tried in a new environment
#
# Needs a Python that TensorFlow has wheels for, and nothing else: no ffmpeg, no pip on the PATH.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DOCS := .venv-docs

# Both go to the shell as variables, never as text, so that blanks, quotes and $ in a name stay what
# they are. `value` and `:=` keep make itself from expanding them.
export FILM := $(value VIDEO)
unexport VIDEO
# Empty unless somebody chose: then the first Python here that fits is taken.
export CHOSEN := $(if $(filter file default undefined,$(origin PYTHON)),,$(value PYTHON))

.PHONY: dream studio test tests-in-parallel test-browser coverage docs release lint format clean

ifndef FILM
dream: $(VENV)/installed
	@test -e sample.mp4 || $(RUN) -m mmdream sample sample.mp4
	@$(RUN) -m mmdream video sample.mp4 --overwrite
	@echo
	@echo 'Look at sample.mp4 and at its dream, sample.dream.mp4. Then dream a film of your own:'
	@echo '    make dream VIDEO="my film.mp4"'
	@echo 'All that can be chosen:'
	@echo '    $(VENV)/bin/mmdream video --help'
else
dream: $(VENV)/installed
	@$(RUN) -m mmdream video -- "$$FILM"
endif

studio: $(VENV)/installed-studio
	@$(RUN) -m mmdream studio -- "$${FILMS:-.}"

# Two processes, for every other test keeps one core waiting; each holds a TensorFlow of its own, some 2 GB.
# What one module makes for its tests mostly stays in one process. BLAS with threads of its own would wait for
# them awake, a quarter of the processors' time in a sound's dream, which the other process needs.
# Types are checked beside them, which takes one processor half a minute.
test: export OPENBLAS_NUM_THREADS ?= 1
test: $(VENV)/installed-test
	@$(MAKE) --no-print-directory --jobs 2 lint tests-in-parallel

PYTEST := -m pytest --numprocesses 2 --dist worksteal --ignore tests/browser

tests-in-parallel: $(VENV)/installed-test
	@$(RUN) $(PYTEST)

test-browser: $(VENV)/installed-browser
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	echo 'These tests need Chromium and its driver; on Debian: apt-get install chromium chromium-driver' >&2; exit 1; }
	@$(RUN) -m pytest tests/browser

# Parallel data of every process, those that the tests start too, then one table; the run is slower by half.
coverage: export OPENBLAS_NUM_THREADS ?= 1
coverage: $(VENV)/installed-test
	@rm -rf .coverage
	@$(RUN) -m coverage run $(PYTEST)
	@$(RUN) -m coverage combine --quiet
	@$(RUN) -m coverage report
	@$(RUN) -m coverage json --quiet
	@$(RUN) -c '$(SHARES)'

SHARES := import json; t = json.load(open(".coverage/report.json"))["totals"]; \
	print(*(f"{what} {t[of]:.2f} %" for what, of in ( \
	("lines", "percent_statements_covered"), ("branches", "percent_branches_covered"))), sep=", ")

lint: $(VENV)/installed-test
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

format: $(VENV)/installed-test
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

# Warnings are errors, names that lead nowhere too. -E reads all anew: the drawing of the imports is of today.
docs: $(DOCS)/installed
	@$(DOCS)/bin/python -m sphinx -W --keep-going -n -q -E -b html docs build/docs
	@echo 'build/docs/index.html'

# What goes to a package index: built, its metadata checked, installed as a stranger would into an environment of its
# own. There it dreams the sample in an empty home, with a proxy that nothing comes through: no network connection.
release: $(VENV)/installed
	@rm -rf dist build/release
	@$(RUN) -m venv build/release/tools
	@build/release/tools/bin/python -m pip install --disable-pip-version-check --quiet 'build>=1.4' 'twine>=7'
	@build/release/tools/bin/python -m build --outdir dist .
	@build/release/tools/bin/python -m twine check --strict dist/*
	@$(RUN) -m venv build/release/new
	@build/release/new/bin/python -m pip install --disable-pip-version-check --quiet dist/*.whl
	@mkdir build/release/home
	@cd build/release/home && unset PYTHONPATH && \
	export HOME="$$PWD" http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 && \
	../new/bin/mmdream --version && ../new/bin/mmdream sample sample.mp4 && ../new/bin/mmdream video sample.mp4
	@rm -rf build/release
	@ls -l dist

clean:
	rm -rf $(VENV) $(DOCS) build dist .pytest_cache .mypy_cache .ruff_cache .coverage sample.mp4 sample.dream.mp4
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Nothing is compiled ahead, which took as long as all the rest: of eleven thousand files a start loads under a third,
# and Python keeps what it compiled of those, unless it is told not to.
PIP_INSTALL := $(RUN) -m pip install --disable-pip-version-check --no-compile
unexport PYTHONDONTWRITEBYTECODE

# The stamps lie inside the environment and go with it.
$(VENV)/installed: pyproject.toml $(RUN)
	@echo 'Installing mmdream into $(VENV): 0.95 GB to fetch, once, then some minutes.'
	@$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@$(PIP_INSTALL) --quiet --editable '.[test]'
	@touch $@

$(VENV)/installed-studio: $(VENV)/installed
	@$(PIP_INSTALL) --quiet --editable '.[studio]'
	@touch $@

$(VENV)/installed-browser: $(VENV)/installed-test
	@$(PIP_INSTALL) --quiet --editable '.[browser]'
	@touch $@

# An environment of its own, which sees what is installed in the other one: the pages are made of the program.
$(DOCS)/installed: $(VENV)/installed
	@$(RUN) -m venv --clear $(DOCS)
	@$(RUN) -c '$(SITE)' > "$$($(DOCS)/bin/python -c '$(SITE)')/zz-mmdream.pth"
	@$(DOCS)/bin/python -m pip install --disable-pip-version-check --quiet --editable '.[docs]'
	@touch $@

SITE := import sysconfig; print(sysconfig.get_path("purelib"))
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
FOUND := import platform; print(platform.python_version())
NEEDS := mmdream needs Python 3.11, 3.12 or 3.13

$(RUN):
	@if [ -n "$$CHOSEN" ]; then set -- "$$CHOSEN"; else set -- python3 python3.12 python3.13 python3.11; fi; \
	for python; do \
	    if "$$python" -c '$(FITS)' 2>/dev/null; then \
	        "$$python" -m venv --clear $(VENV) && exit 0; \
	        rm -rf $(VENV); exit 1; \
	    fi; \
	done; \
	if found=$$("$$1" -c '$(FOUND)' 2>/dev/null); then \
	    echo "$(NEEDS); this is $$found: make dream PYTHON=/path/to/python3.12" >&2; \
	else \
	    echo "$(NEEDS); $$1 does not run: make dream PYTHON=/path/to/python3.12" >&2; \
	fi; \
	exit 1
