# make             nginx module and chat-worker, into build/
# make run         install what is missing, build, start everything, with a
#                  demo page (PORT=8080 RUN_DIR=run)
# make test        every suite; make check-<suite> runs one
# make format      clang-format; make format-check only looks
# make deps        install the Debian packages for all of the above
#
# NGX_SRC=<unpacked nginx source>   build the module for another nginx
# SANITIZE=address,undefined        build and test with sanitizers, apart

NGX_SRC ?= /usr/share/nginx/src
CXX := $(if $(filter default,$(origin CXX)),g++,$(CXX))
OPT ?= -O2 -g
PYTHON := /usr/bin/python3

comma := ,
BUILD ?= build$(and $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
MODULE := $(BUILD)/ngx_http_chat_module.so
WORKER := $(BUILD)/chat-worker
export BUILD SANITIZE PYTHON

ifeq (,$(filter -j%,$(MAKEFLAGS)))
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
    chromium chromium-driver postgresql nodejs
LINT_PACKAGES := clang-tidy clang-format-14 shellcheck pyflakes3 nodejs
BENCH_PACKAGES := $(RUN_PACKAGES) libnginx-mod-nchan mosquitto nodejs npm

goals := $(or $(MAKECMDGOALS),all)
purposes := $(if $(filter-out clean format% uninstall,$(goals)),BUILD) \
    $(if $(filter run,$(goals)),RUN) \
    $(if $(filter test check% fuzz,$(goals)),TEST) \
    $(if $(filter lint format%,$(goals)),LINT) \
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
	$(if $(missing),tools/install-packages $(missing))

# chat-worker, the test programs and what they share with the module

PKGS := libuv hiredis libcjson libpq sqlite3 spdlog zlib
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
TOOLS := $(patsubst %.cpp,$(BUILD)/%,$(wildcard t/tools/*.cpp))
SCRIPTS := $(patsubst %,$(BUILD)/%.inc,$(wildcard worker/scripts/*.lua))

# Everything is built again when the settings are others than last time.
SETTINGS := $(CXX) $(OPT) $(SAN) $(CXXFLAGS) $(LDFLAGS) $(NGX_SRC)
ifneq ($(SETTINGS),$(file <$(BUILD)/settings))
$(shell mkdir -p $(BUILD))$(file >$(BUILD)/settings,$(SETTINGS))
endif

$(BUILD)/%.o: %.cpp $(BUILD)/settings | packages $(SCRIPTS)
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) -c -o $@ $<

# A Redis script as a C++ string: #include "worker/scripts/<name>.lua.inc"
$(BUILD)/%.lua.inc: %.lua
	@mkdir -p $(@D)
	(printf 'R"lua('; cat $<; printf ')lua"\n') >$@

$(BUILD)/libws.a: $(WS_OBJ)
$(BUILD)/libshared.a: $(SHARED_OBJ)
$(BUILD)/libworker.a: $(WORKER_OBJ)
$(BUILD)/lib%.a:
	@rm -f $@
	ar rcs $@ $^

$(WORKER): $(BUILD)/worker/main.o $(LIBS)
	$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/t/tools/%: $(BUILD)/t/tools/%.o $(LIBS)
	$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/t/unit/%: $(BUILD)/t/unit/%.o $(LIBS)
	$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS) $(shell pkg-config --libs check)

tools: $(TOOLS)
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# The module. nginx's configure writes into the folder that it runs in, so it
# runs in one that has links to the source, which may be read-only. Debian's
# nginx-dev says in conf_flags how Debian's nginx was configured.

NGX_BUILD := $(BUILD)/nginx
NGX_FLAGS ?= --with-compat --with-threads --with-http_ssl_module \
    --with-http_v2_module
MODULE_SOURCES := $(wildcard ngx_chat_module/*.[ch]pp \
    ngx_chat_module/ws/*.[ch]pp shared/*.[ch]pp)

$(NGX_BUILD)/Makefile: config $(BUILD)/settings | packages
	@rm -rf $(NGX_BUILD) && mkdir -p $(NGX_BUILD)
	ln -s $(wildcard $(abspath $(NGX_SRC))/*) $(NGX_BUILD)
	@rm -f $(NGX_BUILD)/Makefile $(NGX_BUILD)/objs
	cd $(NGX_BUILD) && if [ -f conf_flags ]; then . ./conf_flags; \
	else NGX_CONF_FLAGS=($(NGX_FLAGS)); fi && \
	$$([ -f configure ] && echo ./configure || echo auto/configure) \
	    "$${NGX_CONF_FLAGS[@]}" --with-cc-opt="$(OPT) $(SAN)" \
	    --with-ld-opt="$(SAN)" --add-dynamic-module=$(CURDIR) >configure.log
$(NGX_BUILD)/Makefile: SHELL := /bin/bash

$(MODULE): $(NGX_BUILD)/Makefile $(MODULE_SOURCES)
	cd $(NGX_BUILD) && $(MAKE) -f objs/Makefile modules
	cp $(NGX_BUILD)/objs/$(@F) $@

# The demo

run: export PORT := $(or $(PORT),8080)
run: export RUN_DIR := $(or $(RUN_DIR),run)
run: all
	@exec client/demo/run

# Tests. Each suite can be run alone; `make test` runs them one after another
# and adds up what they counted.

SUITES := unit
test: all tools $(UNIT)
	+@t/run-suites $(SUITES)

check-unit: $(UNIT)
	@failed=0; for test in $^; do $$test || failed=1; done; exit $$failed

check-nginx: all tools
	TEST_NGINX_LOAD_MODULES=$(abspath $(MODULE)) prove -It/lib t/nginx/*.t

check-integration: all tools
	$(PYTEST) t/integration

PYTEST := $(PYTHON) -B -m pytest -q -n 2 -p no:cacheprovider

.PHONY: all clean deps packages tools run test check-unit check-nginx \
    check-integration

CXX_FILES := $(shell git ls-files '*.[ch]pp' 2>/dev/null)
format: ; clang-format-14 -i $(CXX_FILES)
format-check: ; clang-format-14 --dry-run --Werror $(CXX_FILES)
.PHONY: format format-check

clean:
	rm -rf build
