# make bench           measure this project beside its peers (about 15 minutes)
# make bench BENCH=short   the most telling cases, one round (about 2 minutes)
# BENCH_ARGS gives further arguments to t/bench/run.py (--help).
BENCH ?= full
BENCH_ARGS ?=
BENCH_PACKAGES := libnginx-mod-nchan mosquitto redis-server nodejs npm openssl \
    libssl-dev libcli11-dev zlib1g-dev

BENCH_LOAD_OBJ := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard t/bench/load/*.cpp))

$(BUILD)/bench/load: $(BENCH_LOAD_OBJ)
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ -lssl -lcrypto -lz

$(BUILD)/bench/floor: $(BUILD)/t/bench/floor/main.o
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^ -lcrypto

$(BUILD)/bench/broadcast-worker: $(BUILD)/t/bench/broadcast/main.o \
    $(BUILD)/libshared.a
	@mkdir -p $(@D)
	$(CXX) $(LDFLAGS) -o $@ $^

$(BUILD)/bench/peers/.installed: $(wildcard t/bench/peers/*)
	@mkdir -p $(@D)
	cp t/bench/peers/* $(@D)
	cd $(@D) && npm install --no-audit --no-fund --loglevel=error
	touch $@

# A daemon that Debian starts when it is installed would listen on public
# ports: policy-rc.d says no while these packages are unpacked.
bench-deps:
	@missing=; for package in $(BENCH_PACKAGES); do \
	    case $$package in \
	    nodejs|npm) ! command -v $${package%js} >/dev/null || continue;; \
	    esac; \
	    dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | \
	        grep -qx installed || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] || t/bench/install-packages $$missing

bench-programs: $(BUILD)/bench/load $(BUILD)/bench/floor \
    $(BUILD)/bench/broadcast-worker

bench: bench-deps
	$(MAKE) all bench-programs $(BUILD)/bench/peers/.installed
	BENCH_COMMAND='make bench$(if $(filter short,$(BENCH)), BENCH=short)$(if \
	    $(BENCH_ARGS), BENCH_ARGS="$(BENCH_ARGS)")' t/bench/run.py \
	    --build $(BUILD) $(if $(filter short,$(BENCH)),--short) $(BENCH_ARGS)

.PHONY: bench bench-deps bench-programs
