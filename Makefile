# Each command is one line over `python -m helpers` or pytest, run in .venv.
#   make book                               the book about the default images
#   make book DATASET=folder:/my/images     the book about your own images
#   make book PARAMS=params/fast.yml        other parameters, from a file
#   make books                              the book, and others about digits and a sample of ImageNet beside it
#   make book SCHEDULER=tcp://host:8786     the work done by a Dask cluster, or by SCHEDULER=local
#   make book ARGS="-p k_max 20"            anything else `python -m helpers book` takes
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
OPTIONS = $(if $(PARAMS),-f "$$PARAMS") $(if $(DATASET),-p dataset "$$DATASET") \
	$(if $(SCHEDULER),-p scheduler "$$SCHEDULER") $(ARGS)
export PARAMS DATASET SCHEDULER

.DEFAULT_GOAL := help
.PHONY: book books pdf test lab bench params clean help

book: $(READY)  ## execute the notebooks and build the book [PARAMS=file] [DATASET=name] [SCHEDULER=address] [ARGS=...]
	@$(BIN)/python -m helpers book $(OPTIONS)

books: $(READY)  ## build the book and, linked from page to page, others about digits and a sample of ImageNet
	@$(BIN)/python -m helpers book $(OPTIONS) --with params/digits.yml params/imagenet.yml

pdf: $(READY)  ## print the built book into one PDF, with a Chromium that is installed here
	@$(BIN)/python -m helpers pdf $(ARGS)

test: $(READY)  ## run the tests
	@$(BIN)/python -m pytest $(ARGS)

lab: $(READY)  ## open JupyterLab on the repository
	@$(BIN)/python -m jupyterlab --ServerApp.kernel_spec_manager_class=helpers.pages.kernels.OwnKernels \
		--LabApp.default_url=/lab/tree/notebooks $(ARGS)

bench: $(READY)  ## run the benchmarks
	@$(BIN)/python -m benchmarks.silhouettes
	@$(BIN)/python -m benchmarks.silhouettes large
	@$(BIN)/python -m benchmarks.sweep
	@$(BIN)/python -m benchmarks.sweep large
	@$(BIN)/python -m benchmarks.exactness
	@$(BIN)/python -m benchmarks.coverage
	@$(BIN)/python -m benchmarks.embeddings

params: $(READY)  ## print the table of parameters
	@$(BIN)/python -m helpers params

clean:  ## remove what was generated (.venv stays)
	rm -rf _stage _build

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@echo "Setting up .venv: a few minutes the first time, most of it downloading PyTorch."
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit("error: Python 3.11 or newer is needed; name one with make PYTHON=/path/to/python")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[book,test,scale]"
	@touch $(READY)
