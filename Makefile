# Larder. `make` builds build/larder, `make run` starts it, `make test` runs every test; `make help` lists the rest.
#
# What is missing is installed first, through apt, where there is one (DEPS=no: never).
#   VARIANT=release|debug|asan|tsan|clang|fuzz|cover   each builds into build/<variant>; the release's program is build/larder
#   CC=…  CFLAGS_EXTRA=…  LDFLAGS_EXTRA=…  WERROR=  V=1   as usual; V=1 shows the commands
#
# A new .c file under src/ is found by itself; so are tests/unit/test_*.c and tests/fuzz/fuzz_*.c.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS   += --no-builtin-rules
.DEFAULT_GOAL := all

VARIANT ?= release
WERROR  ?= -Werror
V       ?= 0
Q       := $(if $(filter 0,$(V)),@)
PYTHON  := /usr/bin/python3

# All cores; a -j on the command line wins.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif

# ---- what must be installed ------------------------------------------------------------------------------------------

DEPS_BUILD := gcc libc6-dev binutils pkg-config libuv1-dev liblmdb-dev libmbedtls-dev node-llhttp libjansson-dev \
              libyaml-dev zlib1g-dev libdeflate-dev libxxhash-dev libutf8proc-dev uthash-dev ca-certificates
DEPS_TEST  := libcmocka-dev clang llvm libclang-rt-14-dev python3-pytest python3-yaml python3-jsonschema nginx-light \
              chromium openssl curl $(if $(shell command -v npm),,nodejs npm)
DEPS_BENCH := wrk nginx-light redis-server libsqlite3-dev libssl-dev linux-perf valgrind

# $(call install,packages): asks dpkg, and apt only for what is missing. nginx and redis-server are wanted as programs:
# where installing one has started the system's service, that is stopped again.
define install
@$(if $(filter no,$(DEPS)),exit 0;) command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || exit 0; \
missing=$$(printf '%s\n' $(1) | grep -vxF "$$(dpkg-query -W -f='$${Package} $${db:Status-Status}\n' $(1) 2>/dev/null \
    | sed -n 's/ installed$$//p')" || true); test -n "$$missing" || exit 0; \
echo "installing" $$missing; as_root=$$(test $$(id -u) = 0 || echo sudo); \
apt="$$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300"; \
$$apt update </dev/null && $$apt install -y --no-install-recommends $$missing </dev/null >/dev/null; \
for service in nginx redis-server; do case "$$missing" in *$$service*) \
$$as_root systemctl disable --now $$service >/dev/null 2>&1 || true;; esac; done
endef

# ---- compilers and flags ---------------------------------------------------------------------------------------------

OUT := build/$(VARIANT)
OBJ := $(OUT)/obj

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wvla -Wcast-qual -Wformat=2 -Wundef
SANITIZE := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all
HARDEN   := -D_FORTIFY_SOURCE=2 -fstack-protector-strong

OPTFLAGS_release := -O2 -g -DNDEBUG -fno-plt $(HARDEN)
OPTFLAGS_debug   := -O0 -g3
OPTFLAGS_clang   := -O2 -g -DNDEBUG $(HARDEN)
OPTFLAGS_asan    := $(SANITIZE) -fsanitize=address,undefined
OPTFLAGS_tsan    := $(SANITIZE) -fsanitize=thread
OPTFLAGS_fuzz    := $(SANITIZE) -fsanitize=address,undefined,fuzzer-no-link
OPTFLAGS_cover   := -O0 -g -fprofile-instr-generate -fcoverage-mapping

# The compiler of a variant, unless the caller names one. The sanitizers are clang's: one set of options and of reports.
CC_release := gcc
CC_debug   := gcc
ifeq ($(origin CC),default)
CC := $(or $(CC_$(VARIANT)),clang)
endif

OPTFLAGS := $(OPTFLAGS_$(VARIANT))
ifeq ($(OPTFLAGS),)
$(error VARIANT=$(VARIANT) is none of release debug asan tsan clang fuzz cover)
endif

include third_party/llhttp.mk

# pkg-config is asked once, and only when a recipe needs the answer: before that it may not be installed.
PACKAGES     := libuv lmdb jansson yaml-0.1 zlib libdeflate libxxhash libutf8proc
PKG_CPPFLAGS  = $(eval PKG_CPPFLAGS := $$(shell pkg-config --cflags $(PACKAGES)))$(PKG_CPPFLAGS)
PKG_LIBS      = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PACKAGES)))$(PKG_LIBS)

CPPFLAGS := -Iinclude -D_GNU_SOURCE $(LLHTTP_CPPFLAGS)
CFLAGS   := -std=gnu11 $(OPTFLAGS) $(WARNINGS) $(WERROR) $(CFLAGS_EXTRA)
LDFLAGS  := $(OPTFLAGS) -Wl,-z,relro,-z,now $(LDFLAGS_EXTRA)
LIBS      = -lmbedtls -lmbedx509 -lmbedcrypto $(PKG_LIBS) -pthread

# ---- library and program ---------------------------------------------------------------------------------------------

# Everything but main.c is in the library: unit tests and fuzz targets link the same objects as the program.
MAIN    := src/app/main.c
SOURCES := $(filter-out $(MAIN),$(sort $(shell find src -name '*.c' 2>/dev/null)))
LIB     := $(OUT)/liblarder.a
LIB_OBJ := $(SOURCES:%.c=$(OBJ)/%.o) $(LLHTTP_OBJ)
PROGRAM := $(if $(wildcard $(MAIN)),$(if $(filter release,$(VARIANT)),build,$(OUT))/larder)

all: $(LIB) $(PROGRAM) ## build/larder (the default)

# $(call remember,text): the file's time changes only with its text, so what hangs on it is made again just then.
define remember
@mkdir -p $(@D); new='$(strip $(1))'; test -f $@ && test "$$(cat $@)" = "$$new" || printf '%s\n' "$$new" >$@
endef

$(OUT)/flags: FORCE
	$(call remember,$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS))

$(OUT)/members: FORCE
	$(call remember,$(LIB_OBJ))

$(OBJ)/%.o: %.c $(OUT)/flags | deps
	@mkdir -p $(@D)
	@$(if $(Q),echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(EXTRA_CPPFLAGS) $(PKG_CPPFLAGS) $(CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c $< -o $@

# Made anew each time: a source that went away leaves no member behind.
$(LIB): $(LIB_OBJ) $(OUT)/members
	@$(if $(Q),echo "  AR    $@")
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJ)

$(PROGRAM): $(OBJ)/$(MAIN:.c=.o) $(LIB)
	@$(if $(Q),echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)

run: deps $(PROGRAM) ## install, build, start on http://127.0.0.1:8080 with ./data
	@exec $(PROGRAM) serve -c etc/larder.yaml

deps:
	$(call install,$(DEPS_BUILD))

deps-test: deps
	$(call install,$(DEPS_TEST))

deps-bench: deps
	$(call install,$(DEPS_BENCH))

# ---- tests -----------------------------------------------------------------------------------------------------------

# T=name picks: a unit test (test_buf), a fuzz target (fuzz_json), black-box files or tests (test_http.py::test_head).
T ?=

# clang 14's sanitizers can't map their shadow where the kernel randomises addresses widely: without randomisation, then.
SAME_ADDRESSES := $(shell setarch -R true 2>/dev/null && echo setarch -R)
# An allocation of absurd size returns NULL, as it does in production: tests ask for such.
export ASAN_OPTIONS  ?= detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS  ?= halt_on_error=1:allocator_may_return_null=1

# test_*.c are programs of their own; other files in tests/unit are helpers: each is linked into those that use it.
UNIT_SOURCES := $(sort $(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*.c))
UNIT_CHOSEN  := $(if $(T),$(filter tests/unit/$(T:.c=).c,$(UNIT_SOURCES)),$(UNIT_SOURCES))
UNIT_THREADS := $(filter %_thread.c %_threads.c tests/unit/test_loop% tests/unit/test_store%,$(UNIT_CHOSEN))
UNIT_BIN     := $(UNIT_CHOSEN:tests/unit/%.c=$(OUT)/unit/%)
THREAD_BIN   := $(UNIT_THREADS:tests/unit/%.c=$(OUT)/unit/%)

FUZZ_SOURCES := $(if $(T),tests/fuzz/$(T:.c=).c,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_BIN     := $(FUZZ_SOURCES:tests/fuzz/%.c=$(OUT)/fuzz/%)
FUZZ_TIME    ?= 10

$(OBJ)/tests/%.o: EXTRA_CPPFLAGS := -Isrc -Itests/unit
$(OBJ)/tests/fuzz/%.o: EXTRA_CFLAGS := -Wno-missing-prototypes
$(UNIT_SOURCES:%.c=$(OBJ)/%.o) $(UNIT_HELPERS:%.c=$(OBJ)/%.o) $(FUZZ_SOURCES:%.c=$(OBJ)/%.o): | deps-test
.SECONDARY:

$(OUT)/unit/libhelpers.a: $(UNIT_HELPERS:%.c=$(OBJ)/%.o)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && ar rcs $@ $^

$(OUT)/unit/%: $(OBJ)/tests/unit/%.o $(OUT)/unit/libhelpers.a $(LIB)
	@mkdir -p $(@D)
	@$(if $(Q),echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) $^ -lcmocka $(LIBS) -o $@

$(OUT)/fuzz/%: $(OBJ)/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	@$(if $(Q),echo "  LINK  $@")
	$(Q)$(CC) $(subst fuzzer-no-link,fuzzer,$(LDFLAGS)) $^ $(LIBS) -o $@

STAGES := lint unit unit-asan unit-tsan build-clang fuzz blackbox blackbox-asan

test: ## every test, stage by stage; stops at the first stage that fails
	@for stage in deps-test $(STAGES); do \
	    test $$stage = deps-test || printf '\n== %s ==\n' $$stage; \
	    $(MAKE) --no-print-directory T= $$stage; done; echo; echo "all $(words $(STAGES)) stages passed"

lint: deps-test ## the house rules: include arrows, clocks, allocation, sizes
	@$(PYTHON) -B tests/lint/lint.py
	@$(PYTEST) tests/lint

unit: deps-test $(UNIT_BIN) ## unit tests; T=test_buf runs one of them
	@$(if $(T),$(if $(UNIT_BIN),,echo "there is no tests/unit/$(T).c" >&2; exit 1;)) \
	    $(SAME_ADDRESSES) tests/run-unit $(UNIT_BIN)

unit-thread: deps-test $(THREAD_BIN)
	@$(SAME_ADDRESSES) tests/run-unit $(THREAD_BIN)

unit-asan: ## unit tests under ASan and UBSan
	@$(MAKE) --no-print-directory VARIANT=asan unit

unit-tsan: ## the unit tests that start threads, under TSan
	@$(MAKE) --no-print-directory VARIANT=tsan unit-thread

build-clang: deps-test ## program, unit tests and benches built by clang with the same warnings
	@$(MAKE) --no-print-directory VARIANT=clang all unit-build bench-build

unit-build: $(UNIT_BIN)

fuzz: deps-test ## each fuzz target for FUZZ_TIME=10 seconds; T=fuzz_json runs one
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzz-run

fuzz-run: $(FUZZ_BIN)
	@$(SAME_ADDRESSES) tests/run-fuzz $(FUZZ_TIME) $(FUZZ_BIN)

# What is worth the sanitizers' time in the whole program: everything that takes in foreign bytes, and the main job.
SMOKE  := http smuggling json slow_clients sources scan_github search keys drain recache_api recache_pages
PYTEST := $(PYTHON) -B -m pytest -q -p no:cacheprovider

blackbox: deps-test tests/node_modules/.up-to-date $(PROGRAM) ## the whole program over its sockets; T=test_http.py picks
	@LARDER_BIN=$(PROGRAM) $(PYTEST) tests/blackbox$(if $(T),/$(T))

blackbox-asan: ## the black-box tests that meet most of the code, under ASan and UBSan
	@$(MAKE) --no-print-directory VARIANT=asan blackbox-smoke

blackbox-smoke: deps-test $(PROGRAM)
	@LARDER_BIN=$(PROGRAM) $(SAME_ADDRESSES) $(PYTEST) $(addprefix tests/blackbox/,$(or $(T),$(SMOKE:%=test_%.py)))

# The tests' tools from npm, exactly those of the lock file.
tests/node_modules/.up-to-date: tests/package.json tests/package-lock.json tests/.npmrc | deps-test
	@cd tests && npm ci --loglevel=error --ignore-scripts && touch node_modules/.up-to-date

# ---- the rest --------------------------------------------------------------------------------------------------------

# Each bench/*.c is a program of its own; they see the private headers, for a seeder writes what scans write.
BENCH_BIN := $(patsubst bench/%.c,$(OUT)/bench/%,$(sort $(wildcard bench/*.c)))

$(OBJ)/bench/%.o: EXTRA_CPPFLAGS := -Isrc
$(OBJ)/bench/%.o: | deps-bench
$(OUT)/bench/%: $(OBJ)/bench/%.o $(LIB)
	@mkdir -p $(@D)
	@$(if $(Q),echo "  LINK  $@")
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS) $(BENCH_LIBS) -o $@
$(OUT)/bench/search_bench: BENCH_LIBS := -lsqlite3

bench-build: $(BENCH_BIN)

bench: deps-bench deps-test $(PROGRAM) $(BENCH_BIN) ## our figures beside the yardsticks', one table; T=quick: in 4 minutes
	@bench/run.sh $(T)

cover: deps-test ## which lines the unit tests reach, file by file
	@rm -f build/cover/*.profraw
	@LLVM_PROFILE_FILE=$(CURDIR)/build/cover/%m.profraw $(MAKE) --no-print-directory VARIANT=cover unit
	@llvm-profdata merge -o build/cover/all.profdata build/cover/*.profraw
	@llvm-cov report --instr-profile build/cover/all.profdata $(UNIT_CHOSEN:tests/unit/%.c=--object build/cover/unit/%) \
	    --ignore-filename-regex='tests/|llhttp'

format: ## clang-format over our C files, or those in F=
	@clang-format -i $(or $(F),$(wildcard include/larder/*.h) $(shell find src tests bench -name '*.[ch]' -not -path '*/node_modules/*' 2>/dev/null))

clean: ## removes build/
	@rm -rf build

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

FORCE:
.PHONY: all run deps deps-test deps-bench test $(STAGES) unit-thread unit-build bench-build fuzz-run blackbox-smoke bench cover \
        format clean help FORCE
