// The shared zone of the counters. Each nginx worker owns one slot of it and
// adds to it without locks; what it has counted stays when it exits and the
// slot goes on with the next one, so that totals survive a reload.

#pragma once

#include "ngx_chat_module/metrics.hpp"
#include "ngx_chat_module/ngx.hpp"

namespace chat {

// At least one location has chat_status.
ngx_int_t addStatusZone(ngx_conf_t* cf);

// The process begins; without a zone nothing happens.
ngx_int_t claimSlot(ngx_cycle_t* cycle);

// The process ends: its gauges count no more.
void giveSlot();

// The sum over all slots; gauges only of processes that live.
void sumCounters(ngx_shm_zone_t* zone, Counters* sum);

}  // namespace chat
