# The front door. meson does the building; this is what people type.
#
#   CC=clang make                          another compiler
#   make WERROR=1                          warnings are errors
#   make test SANITIZE=address,undefined   in build-asan/; SANITIZE=thread: in build-tsan/
#   make install PREFIX=/usr DESTDIR=/tmp/package
#   make bench BENCH=--quick               what bench/run --help lists
#   make fuzz FUZZ="frame wslay" FUZZ_RUNS=100000000
#   make torture KILLS=20000 IMAGES=2000 FLIPS=100000 MODEL=20000 CYCLES=1000 FAULTS=3000 DISCONNECTS=10000 SECONDS=600 SEED=1

PREFIX ?= /usr/local
DESTDIR ?=
SANITIZE ?=
WERROR ?=
FUZZ ?=
FUZZ_RUNS ?=
FUZZ_SECONDS ?= 60
BENCH ?=
KILLS ?= 2000
IMAGES ?= 400
CYCLES ?= 200
FLIPS ?= 20000
MODEL ?= 5000
FAULTS ?= 300
REAPS ?= 20000
DISCONNECTS ?= 1000
SECONDS ?= 40
SEED ?=

ifeq ($(origin CC),default)
CC := cc
endif
export CC

BUILD ?= build$(if $(SANITIZE),-$(if $(findstring thread,$(SANITIZE)),tsan,asan))
# LTO is for the build that is installed. clang's would need another linker.
LTO := $(if $(or $(SANITIZE),$(findstring clang,$(CC))),false,true)
OPTIONS := -Db_lto=$(LTO) $(if $(WERROR),-Dwerror=true) \
	$(if $(SANITIZE),-Db_sanitize=$(SANITIZE) -Db_lundef=false)

build = tools/configure $(BUILD) $(OPTIONS) && ninja -C $(BUILD)

.PHONY: all demo test chromium bench lint fuzz torture format install clean help
.NOTPARALLEL:

all: ## build build/weir and the two libraries (the default)
	@tools/setup build
	@$(build)

demo: all ## capture 1 GiB from a local source, and show what it takes
	@tools/demo $(BUILD)/weir

test: ## build, and run every test
	@tools/setup build test
	@$(build)
	@tests/run $(BUILD)

chromium: ## build, and run the tests against Chromium's DevTools
	@tools/setup build test chromium
	@$(build)
	@tests/run $(BUILD) --chromium

bench: ## measure speed and memory, beside what others offer
	@tools/setup build bench
	@$(build)
	@bench/run $(BENCH)

lint: export CC := clang
lint: ## check layers, style, format, documentation, exports; clang-tidy
	@tools/setup build lint
	@tools/configure build-clang -Db_lto=false -Dwerror=true && ninja -C build-clang
	@tools/lint build-clang

# Comparisons are not traced: most are those of the sanitizers, and it costs half of the speed.
fuzz: export CC := clang
fuzz: ## run every fuzzer, or those in FUZZ, for FUZZ_SECONDS (60) or on FUZZ_RUNS inputs
	@tools/setup build fuzz
	@tools/configure build-fuzz -Dfuzz=true -Db_sanitize=address,undefined \
		-Db_lundef=false -Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-coverage=trace-cmp'
	@ninja -C build-fuzz fuzzers
	@tools/fuzz build-fuzz $(if $(FUZZ_RUNS),runs $(FUZZ_RUNS),seconds $(FUZZ_SECONDS)) $(FUZZ)

torture: ## KILLS (2000), IMAGES (400) after power losses, CYCLES (200) of filling a disk, FLIPS (20000), MODEL (5000) stories, FAULTS (300), REAPS (20000), DISCONNECTS (1000), SECONDS (40) of full disks, from SEED
	@tools/setup build test
	@$(build)
	@tests/run $(BUILD) --torture --kills=$(KILLS) --images=$(IMAGES) --cycles=$(CYCLES) --flips=$(FLIPS) --model=$(MODEL) --faults=$(FAULTS) --seconds=$(SECONDS) \
		--reaps=$(REAPS) --disconnects=$(DISCONNECTS) --seed=$(SEED)

format: ## bring all C files into the project's format
	@tools/setup lint
	@tools/sources | xargs clang-format-14 -i

install: all ## install into DESTDIR and PREFIX (/usr/local)
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)
	@test -n "$(DESTDIR)" || ldconfig 2>/dev/null || true

clean: ## remove everything that was built
	rm -rf build build-asan build-tsan build-clang build-fuzz

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='|' read -r name text; do printf 'make %-9s %s\n' "$$name" "$$text"; done
