# make bench               measure this project beside its peers, 15 minutes
# make bench BENCH=short   the most telling cases, one round, 2 minutes
# BENCH_ARGS has further arguments for t/bench/run.py (see its --help).

BENCH_BUILD := $(BUILD)/bench
BENCH_PROGRAMS := $(BENCH_BUILD)/load $(BENCH_BUILD)/floor
BENCH_PEERS := $(BENCH_BUILD)/peers/installed

$(BENCH_BUILD)/load: $(call objects,t/bench/load/*.cpp)
	@mkdir -p $(@D)
	@echo "LINK $@"
	$(Q)$(CXX) $(ALL_LDFLAGS) -o $@ $^ -lssl -lcrypto -lz

$(BENCH_BUILD)/floor: $(call objects,t/bench/floor/*.cpp)
	@mkdir -p $(@D)
	@echo "LINK $@"
	$(Q)$(CXX) $(ALL_LDFLAGS) -o $@ $^ -lcrypto

$(BUILD)/t/unit/bench_load_test: \
    $(addprefix $(BUILD)/t/bench/load/,histogram.o payload.o news.o)

$(BENCH_PEERS): $(wildcard t/bench/peers/*) | packages
	@mkdir -p $(@D)
	@echo "NPM  $(@D)"
	$(Q)cp t/bench/peers/* $(@D)
	$(Q)cd $(@D) && npm install --no-audit --no-fund --loglevel=error
	@touch $@

bench-programs: $(BENCH_PROGRAMS) $(BENCH_PEERS)

bench: all $(BUILD)/t/tools/echo_worker $(BENCH_PROGRAMS) $(BENCH_PEERS)
	BENCH_COMMAND='make bench$(BENCH:%= BENCH=%)$(if $(BENCH_ARGS), \
	    BENCH_ARGS="$(BENCH_ARGS)")' $(PYTHON) -B t/bench/run.py --build $(BUILD) \
	    $(if $(filter short,$(BENCH)),--short) $(BENCH_ARGS)

.PHONY: bench bench-programs
