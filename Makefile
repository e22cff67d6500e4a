# make             nginx module and chat-worker, into build/
# make run         install what is missing, build, start everything, with a
#                  demo page (PORT=8080 RUN_DIR=run)
# make test        every suite; make check-<suite> runs one
#                  make check-faults FAULTS=long: each fault for longer
#                  make check-mutations: bugs on purpose, which it must find
# make fuzz        libFuzzer, FUZZ_TIME=60 seconds each
# make lint        clang-tidy, shellcheck, Python and JavaScript checks
# make format      clang-format; make format-check only looks
# make install     into DESTDIR and PREFIX; make uninstall
# make deps        install the Debian packages for all of the above
#
# NGINX_SRC=<unpacked nginx source>   build the module for another nginx, and
#                                     test with that one, built here too
# TEST_NGINX_BINARY=<nginx>           test with this one
# SANITIZE=address,undefined          build and test with sanitizers, apart
# V=1                                 show the compiler's command lines

NGINX_SRC ?= /usr/share/nginx/src
PREFIX ?= /usr/local
FUZZ_TIME ?= 60
CXX := $(if $(filter default,$(origin CXX)),g++,$(CXX))
OPT ?= $(if $(SANITIZE),-O1,-O2) -g
PYTHON := /usr/bin/python3

Q := $(if $(V),,@)

comma := ,
BUILD ?= build$(and $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
MODULE := $(BUILD)/ngx_http_chat_module.so
WORKER := $(BUILD)/chat-worker
export BUILD SANITIZE PYTHON

ifeq (0,$(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)))
MAKEFLAGS += -j$(shell nproc)
endif

all: $(MODULE) $(WORKER)

# Packages, by purpose. Only those that the goals need are looked for, and
# only if one is missing anything is installed. Any node from 18 on will do.

BUILD_PACKAGES := g++ pkg-config nginx-dev libuv1-dev libhiredis-dev \
    libcjson-dev libpq-dev libsqlite3-dev libspdlog-dev libtomlplusplus-dev \
    libcli11-dev zlib1g-dev
RUN_PACKAGES := nginx redis-server sqlite3
TEST_PACKAGES := $(RUN_PACKAGES) check clang libclang-rt-14-dev perl openssl \
    python3-pytest python3-pytest-timeout python3-pytest-xdist \
    python3-websockets python3-redis python3-psycopg2 python3-selenium \
    libfaketime \
    chromium chromium-driver postgresql nodejs
LINT_PACKAGES := clang-tidy clang-format-14 shellcheck pyflakes3 nodejs
BENCH_PACKAGES := $(RUN_PACKAGES) libnginx-mod-nchan mosquitto nodejs npm \
    openssl libssl-dev

goals := $(or $(MAKECMDGOALS),all)
purposes := $(if $(filter-out clean help format% uninstall,$(goals)),BUILD) \
    $(if $(filter run,$(goals)),RUN) \
    $(if $(filter test check% fuzz,$(goals)),TEST) \
    $(if $(filter test lint format% check-style,$(goals)),LINT) \
    $(if $(filter bench%,$(goals)),BENCH) \
    $(if $(filter deps,$(goals)),RUN TEST LINT BENCH)
needed := $(sort $(foreach p,$(purposes),$($(p)_PACKAGES)))
present := $(patsubst installed/%,%,$(filter installed/%,$(shell dpkg-query \
    -W -f '$${db:Status-Status}/$${Package} ' $(needed) 2>/dev/null)))
ifneq (,$(filter nodejs,$(needed)))
present += $(shell node -e 'process.version.slice(1).split(".")[0] < 18 || \
    console.log("nodejs" + (process.env.PATH.split(":").some((dir) => \
    require("fs").existsSync(dir + "/npm")) ? " npm" : ""))' 2>/dev/null)
endif
missing := $(filter-out $(present),$(needed))

deps: packages
packages:
	$(if $(missing),t/tools/install-packages $(missing))

# chat-worker, the test programs and what they share with the module

PKGS := tomlplusplus libuv hiredis libcjson libpq sqlite3 spdlog zlib
SAN := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
ALL_CXXFLAGS = -std=c++20 $(OPT) $(SAN) -fPIC -Wall -Wextra -Wshadow -Werror \
    -MMD -MP -I. -I$(BUILD) $(shell pkg-config --cflags $(PKGS)) $(CXXFLAGS)
ALL_LDFLAGS = $(SAN) $(LDFLAGS)
ALL_LIBS = $(shell pkg-config --libs $(PKGS)) -lpthread $(LDLIBS)

objects = $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard $(1)))
WS_OBJ := $(call objects,ngx_chat_module/ws/*.cpp)
SHARED_OBJ := $(call objects,shared/*.cpp)
WORKER_OBJ := $(filter-out %/main.o,$(call objects,worker/*.cpp))
LIBS := $(BUILD)/libworker.a $(BUILD)/libws.a $(BUILD)/libshared.a
UNIT := $(patsubst %.cpp,$(BUILD)/%,$(wildcard t/unit/*_test.cpp))
REPLAYS := $(patsubst %_fuzz.cpp,$(BUILD)/%_replay,$(wildcard t/fuzz/*_fuzz.cpp))
FUZZERS := $(patsubst %.cpp,$(BUILD)/%,$(wildcard t/fuzz/*_fuzz.cpp))
TOOLS := $(patsubst %.cpp,$(BUILD)/%,$(wildcard t/tools/*.cpp))
SCRIPTS := $(patsubst %,$(BUILD)/%.inc,$(wildcard worker/scripts/*.lua))

# Everything is built again when the settings are others than last time.
SETTINGS := $(CXX) $(OPT) $(SAN) $(CXXFLAGS) $(LDFLAGS) $(NGINX_SRC)
ifneq ($(SETTINGS),$(file <$(BUILD)/settings))
$(shell mkdir -p $(BUILD))$(file >$(BUILD)/settings,$(SETTINGS))
endif

$(BUILD)/%.o: %.cpp $(BUILD)/settings | packages $(SCRIPTS)
	@mkdir -p $(@D)
	@echo "C++  $<"
	$(Q)$(CXX) $(ALL_CXXFLAGS) -c -o $@ $<

# A Redis script as a C++ string: #include "worker/scripts/<name>.lua.inc"
$(BUILD)/%.lua.inc: %.lua
	@mkdir -p $(@D)
	$(Q)(printf 'R"lua('; cat $<; printf ')lua"\n') >$@

$(BUILD)/libws.a: $(WS_OBJ)
$(BUILD)/libshared.a: $(SHARED_OBJ)
$(BUILD)/libworker.a: $(WORKER_OBJ)
$(BUILD)/lib%.a:
	@rm -f $@
	$(Q)ar rcs $@ $^

$(WORKER): $(BUILD)/worker/main.o $(LIBS)
	@echo "LINK $@"
	$(Q)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/t/tools/%: $(BUILD)/t/tools/%.o $(LIBS)
	@echo "LINK $@"
	$(Q)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/t/unit/%: $(BUILD)/t/unit/%.o $(LIBS)
	@echo "LINK $@"
	$(Q)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS) $(shell pkg-config --libs check)

$(BUILD)/t/fuzz/%_replay: $(BUILD)/t/fuzz/%_fuzz.o \
    $(BUILD)/t/fuzz/replay_main.o $(LIBS)
	@echo "LINK $@"
	$(Q)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/t/fuzz/%_fuzz: $(BUILD)/t/fuzz/%_fuzz.o $(LIBS)
	@echo "LINK $@"
	$(Q)$(CXX) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(ALL_LIBS)

tools: $(TOOLS)
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# The module. nginx's configure writes into the folder that it runs in, so it
# runs in one that has links to the source, which may be read-only. Debian's
# nginx-dev says in conf_flags how Debian's nginx was configured.

NGX_BUILD := $(BUILD)/nginx
NGX_FLAGS ?= --with-compat --with-threads --with-http_ssl_module \
    --with-http_v2_module --with-http_realip_module --with-poll_module \
    --with-http_auth_request_module --with-http_stub_status_module \
    --with-select_module
MODULE_SOURCES := $(sort $(wildcard ngx_chat_module/*.[ch]pp \
    ngx_chat_module/ws/*.[ch]pp shared/*.[ch]pp))

# configure lists the sources: it runs again when there are others.
ifneq ($(MODULE_SOURCES),$(file <$(BUILD)/module-sources))
$(file >$(BUILD)/module-sources,$(MODULE_SOURCES))
endif

$(NGX_BUILD)/Makefile: config $(BUILD)/settings $(BUILD)/module-sources | packages
	@rm -rf $(NGX_BUILD) && mkdir -p $(NGX_BUILD)
	@ln -s $(wildcard $(abspath $(NGINX_SRC))/*) $(NGX_BUILD)
	@rm -f $(NGX_BUILD)/Makefile $(NGX_BUILD)/objs
	@echo "configure $(NGINX_SRC)"
	$(Q)cd $(NGX_BUILD) && if [ -f conf_flags ]; then . ./conf_flags; \
	else NGX_CONF_FLAGS=($(NGX_FLAGS)); fi && \
	$$([ -f configure ] && echo ./configure || echo auto/configure) \
	    "$${NGX_CONF_FLAGS[@]}" --with-cc-opt="$(OPT) $(SAN)" \
	    --with-ld-opt="$(SAN)" --add-dynamic-module=$(CURDIR) >configure.log
$(NGX_BUILD)/Makefile: SHELL := /bin/bash

$(MODULE): $(NGX_BUILD)/Makefile $(MODULE_SOURCES)
	@echo "LINK $@"
	$(Q)cd $(NGX_BUILD) && $(MAKE) $(if $(V),,-s) -f objs/Makefile modules
	$(Q)cp --remove-destination $(NGX_BUILD)/objs/$(@F) $@

# Debian's nginx-dev has the headers only; a whole source makes an nginx too.
NGX_BINARY := $(abspath $(NGX_BUILD))/objs/nginx
$(NGX_BINARY): $(NGX_BUILD)/Makefile | $(MODULE)
	@echo "LINK $@"
	$(Q)cd $(NGX_BUILD) && $(MAKE) $(if $(V),,-s) -f objs/Makefile binary

# The nginx to run: the one given, that of NGINX_SRC, or Debian's. What the
# module needs of the sanitizers must be there before it.
nginx := $(or $(filter-out %/nginx-preloaded,$(TEST_NGINX_BINARY)),$(if \
    $(filter-out file,$(origin NGINX_SRC)),$(NGX_BINARY),nginx))
override TEST_NGINX_BINARY := $(if \
    $(SANITIZE),$(abspath $(BUILD))/nginx-preloaded,$(nginx))
export TEST_NGINX_BINARY
built = $(filter $(abspath $(BUILD))/%,$(1))
test_nginx := $(call built,$(TEST_NGINX_BINARY))

$(abspath $(BUILD))/nginx-preloaded: $(BUILD)/settings $(call built,$(nginx))
	printf '#!/bin/sh\nexec env LD_PRELOAD="%s %s" %s "$$@"\n' \
	    $$($(CXX) -print-file-name=libasan.so) \
	    $$($(CXX) -print-file-name=libubsan.so) \
	    $$(command -v $(nginx)) >$@
	chmod +x $@

# The demo

run: export PORT := $(or $(PORT),8080)
run: export RUN_DIR := $(or $(RUN_DIR),run)
run: all $(test_nginx)
	@exec client/demo/run

# Tests. Each suite can be run alone; `make test` runs them one after another
# and adds up what they counted.

SUITES := unit fuzz nginx conformance integration faults client browser
PYTEST := $(PYTHON) -B -m pytest -q -n 2 -p no:cacheprovider
JS_TESTS := $(wildcard client/test/*.test.js)

# What a sanitizer finds is in the log and ends the program by a signal, in
# nginx too, which is preloaded. nginx frees little of what it has at its end,
# so leaks are looked for in the programs of unit and fuzz, and elsewhere where
# a test asks for it.
export ASAN_OPTIONS := detect_leaks=0:abort_on_error=1
export UBSAN_OPTIONS := print_stacktrace=1:halt_on_error=1:abort_on_error=1

test: all tools $(UNIT) $(REPLAYS) $(test_nginx)
	+@t/run-suites $(if $(SANITIZE),$(SUITES),style $(SUITES) sanitized)

# All that run what was compiled, once more on a build with sanitizers.
check-sanitized:
	+@failed=0; for suite in $(filter-out client,$(SUITES)); do \
	    $(MAKE) --no-print-directory BUILD=build/sanitized \
	        SANITIZE=address,undefined check-$$suite || failed=1; \
	done; exit $$failed

check-unit check-fuzz: export ASAN_OPTIONS := detect_leaks=1:abort_on_error=1
check-unit: $(UNIT)
	@failed=0; for test in $^; do $$test || failed=1; done; exit $$failed

check-fuzz: $(REPLAYS)
	@failed=0; for test in $^; do name=$${test##*/}; \
	    echo "$$name"; $$test t/fuzz/corpus/$${name%_replay} || failed=1; \
	done; exit $$failed

# On a stand-in in t/lib where the real Test::Nginx is not installed. Some are
# run once more with a reload between the blocks, instead of a new start.
check-nginx: export TEST_NGINX_LOAD_MODULES := $(abspath $(MODULE))
check-nginx: all tools $(test_nginx)
	@lib=$$(perl -MTest::Nginx::Socket -e1 2>/dev/null || echo -It/lib); \
	failed=0; prove $$lib t/nginx || failed=1; \
	TEST_NGINX_USE_HUP=1 prove $$lib t/nginx/framing.t t/nginx/relay.t || \
	    failed=1; exit $$failed

check-conformance: all tools $(test_nginx)
	$(PYTEST) t/conformance

check-integration: all $(test_nginx)
	$(PYTEST) t/integration

check-faults: all $(test_nginx)
	CHAT_FAULTS=$(FAULTS) $(PYTEST) t/faults

# Guarantees broken on purpose: each mutant must make its tests fail.
check-mutations: all
	t/faults/mutations/run

check-browser: all
	$(PYTEST) -n 0 t/browser

check-client:
	node --test $(JS_TESTS)

# Each target for FUZZ_TIME seconds; new inputs of interest go to build/, what
# makes it fail is left beside them.
fuzz:
	$(MAKE) BUILD=build/fuzz CXX=clang++ SANITIZE=address,undefined \
	    OPT="-O1 -g -fsanitize=fuzzer-no-link" fuzz-run
fuzz-run: $(FUZZERS)
	@set -e; for fuzzer in $^; do name=$${fuzzer##*/}; name=$${name%_fuzz}; \
	    mkdir -p $(BUILD)/found/$$name; echo "=== $$name"; \
	    $$fuzzer -max_total_time=$(FUZZ_TIME) -print_final_stats=1 \
	        -artifact_prefix=$(BUILD)/found/ $(BUILD)/found/$$name \
	        t/fuzz/corpus/$$name; \
	done

include t/bench/bench.mk

# Style

CXX_FILES := $(wildcard */*.[ch]pp */*/*.[ch]pp)
# The product's own sources: the tests are as many again, and told by -Wall.
TIDY := $(patsubst %,$(BUILD)/lint/%,$(filter-out t/%,$(filter %.cpp,\
    $(CXX_FILES))))
SHELL_FILES := t/tools/install-packages client/demo/run .ci/run
PYTHON_FILES := t/run-suites t/faults/report t/faults/mutations/run \
    $(wildcard t/*.py t/*/*.py t/*/*/*.py)
JS_FILES := $(wildcard client/*/*.js client/*/*/*.js t/*/*.js t/*/*/*.js \
    t/*/*.mjs t/*/*/*.mjs)
NGX_INCLUDES = $(addprefix -isystem $(NGX_BUILD)/, objs src/core src/event \
    src/event/modules src/os/unix src/http src/http/modules src/http/v2)

lint: $(TIDY)
	shellcheck $(SHELL_FILES)
	@$(PYTHON) -m pyflakes $(PYTHON_FILES)
	@for file in $(JS_FILES); do node --check $$file || exit 1; done

$(BUILD)/lint/%.cpp: %.cpp .clang-tidy | packages $(SCRIPTS) $(NGX_BUILD)/Makefile
	@mkdir -p $(@D)
	@echo "TIDY $<"
	$(Q)clang-tidy --quiet $< -- -std=c++20 -I. -I$(BUILD) $(NGX_INCLUDES) \
	    $(shell pkg-config --cflags $(PKGS))
	@touch $@

check-style: format-check lint
	@echo "1 passed, 0 failed"

format: ; clang-format-14 -i $(CXX_FILES)
format-check: | packages ; @clang-format-14 --dry-run --Werror $(CXX_FILES)

# Installation. nginx finds the module by
# "load_module modules/ngx_http_chat_module.so;" where its own modules are.

NGX_MODULES ?= $(or $(shell nginx -V 2>&1 | \
    sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p'),/usr/lib/nginx/modules)
MODULES_DIR = $(DESTDIR)$(NGX_MODULES)
PREFIX_DIR = $(DESTDIR)$(PREFIX)
DOC_DIR = $(PREFIX_DIR)/share/doc/ngx-chat
UNIT_DIR = $(PREFIX_DIR)/lib/systemd/system

install: all
	install -d $(MODULES_DIR) $(PREFIX_DIR)/bin $(UNIT_DIR) $(DOC_DIR) \
	    $(PREFIX_DIR)/share/ngx-chat
	install -m 644 $(MODULE) $(MODULES_DIR)
	install $(WORKER) $(PREFIX_DIR)/bin
	sed 's,@PREFIX@,$(PREFIX),' docs/examples/chat-worker.service.in \
	    >$(UNIT_DIR)/chat-worker.service
	install -m 644 LICENSE README.md $(wildcard docs/*.md docs/examples/*.*) \
	    $(DOC_DIR)
	install -m 644 $(wildcard client/src/*) $(PREFIX_DIR)/share/ngx-chat

uninstall:
	rm -f $(MODULES_DIR)/$(notdir $(MODULE)) \
	    $(PREFIX_DIR)/bin/$(notdir $(WORKER)) \
	    $(UNIT_DIR)/chat-worker.service
	rm -rf $(DOC_DIR) $(PREFIX_DIR)/share/ngx-chat

clean:
	rm -rf build

help:
	@sed '/^#/!Q; s/^# \{0,1\}//' Makefile

.PHONY: all clean help deps packages tools run test fuzz fuzz-run lint format \
    format-check install uninstall \
    $(addprefix check-,$(SUITES) style sanitized mutations)
