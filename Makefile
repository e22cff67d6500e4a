# make            nginx module and chat-worker, into build/
# make run        install, build and start everything, demo page included
# make test       install, build and run every suite
BUILD ?= build
NGINX_SRC ?= /usr/share/nginx/src
CXX ?= g++
OPT ?= -O2 -g
PKGS := libuv hiredis libcjson libpq sqlite3 spdlog zlib
CXXFLAGS += -std=c++20 $(OPT) -fPIC -Wall -Wextra -Wshadow -Werror -MMD -MP \
    -I. $(shell pkg-config --cflags $(PKGS))
LDLIBS += $(shell pkg-config --libs $(PKGS)) -lpthread

WS_OBJ := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard ngx_chat_module/ws/*.cpp))
SHARED_OBJ := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard shared/*.cpp))
WORKER_OBJ := $(patsubst %.cpp,$(BUILD)/%.o,\
    $(filter-out worker/main.cpp,$(wildcard worker/*.cpp)))
UNIT := $(patsubst %.cpp,$(BUILD)/%,$(wildcard t/unit/*_test.cpp))
TOOLS := $(patsubst %.cpp,$(BUILD)/%,$(wildcard t/tools/*.cpp))
LIBS := $(BUILD)/libworker.a $(BUILD)/libws.a $(BUILD)/libshared.a

all: $(BUILD)/ngx_http_chat_module.so $(BUILD)/chat-worker

$(BUILD)/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -c -o $@ $<

$(BUILD)/libws.a: $(WS_OBJ)
$(BUILD)/libshared.a: $(SHARED_OBJ)
$(BUILD)/libworker.a: $(WORKER_OBJ)
$(BUILD)/lib%.a:
	@mkdir -p $(@D)
	rm -f $@; ar rcs $@ $^

$(BUILD)/chat-worker: $(BUILD)/worker/main.o $(LIBS)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/t/tools/%: $(BUILD)/t/tools/%.o $(LIBS)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/t/unit/%_test: $(BUILD)/t/unit/%_test.o $(LIBS)
	$(CXX) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(shell pkg-config --libs check)

.PRECIOUS: $(BUILD)/%.o
tools: $(TOOLS)
check-unit: $(UNIT)
	@set -e; for test in $^; do $$test; done

MODULE_SRC := config $(wildcard ngx_chat_module/*.[ch]pp \
    ngx_chat_module/ws/*.[ch]pp shared/*.[ch]pp)
$(BUILD)/ngx_http_chat_module.so: $(MODULE_SRC)
	@mkdir -p $(BUILD)/nginx
	cd $(NGINX_SRC) && ./configure --builddir=$(abspath $(BUILD))/nginx \
	    --with-compat --with-http_ssl_module --with-http_v2_module --with-debug \
	    --add-dynamic-module=$(CURDIR) >$(abspath $(BUILD))/nginx/configure.log
	cd $(NGINX_SRC) && $(MAKE) -f $(abspath $(BUILD))/nginx/Makefile modules
	cp $(BUILD)/nginx/ngx_http_chat_module.so $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all tools check-unit
