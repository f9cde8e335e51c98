# Both work on a fresh clone: they make the environment first, and a second call does not install again.
#   make demo    make test    make test PYTEST_ARGS='-m "not convert"'    make demo OUT=/tmp/demo
VENV ?= .venv
CLIENTS_VENV := .venv-clients
OUT ?= out
PYTEST_ARGS ?=
BIN := $(VENV)/bin
# The name that convert gives the shipped checkpoint's file, and the portrait that comes with the package.
MODEL := $(OUT)/portrait-int8.tflite
PHOTO := edge_deeplab/data/bundled/eileen_collins.jpg

.DEFAULT_GOAL := help
.PHONY: help demo test clients clean

help:
	@echo "make demo    install, convert the shipped checkpoint to int8, compare, blur a photo's background"
	@echo "make test    install, and run every check: ruff, mypy, import-linter, pytest"
	@echo "make clients install the programs that judge our files (MediaPipe), apart: make test then asks them, too"
	@echo "make clean   remove $(VENV), $(OUT) and the caches"

demo: $(VENV)/.installed-demo
	$(BIN)/edge-deeplab convert --target tflite-int8 --out $(OUT)
	$(BIN)/edge-deeplab portrait $(PHOTO) -o $(OUT)/portrait.png --model $(MODEL)
	@echo "The photo: $(PHOTO)"
	@echo "Its portrait, by the file that was just converted: $(OUT)/portrait.png"

test: $(VENV)/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest $(PYTEST_ARGS)

clients: $(CLIENTS_VENV)/.installed

clean:
	rm -rf $(VENV) $(CLIENTS_VENV) $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

$(VENV)/.installed-demo: pyproject.toml constraints.txt
	.ci/install $(VENV) train,convert
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt
	.ci/install $(VENV) train,convert,dev
	@touch $(VENV)/.installed-demo $@

$(CLIENTS_VENV)/.installed: .ci/clients.txt
	.ci/install $(CLIENTS_VENV) .ci/clients.txt
	@touch $@
