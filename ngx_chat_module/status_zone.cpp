#include "ngx_chat_module/status_zone.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include "ngx_chat_module/conf.hpp"

namespace chat {

namespace {

// Two generations of as many nginx workers as most machines have processors.
constexpr std::size_t kSlots = 128;

struct Slot {
    ngx_atomic_t owner;  // process id; 0: free
    Counters counters;
};

struct Zone {
    Slot slots[kSlots];
};

// All members of Counters are of one type.
using Number = std::uint64_t;
constexpr std::size_t kNumbers = sizeof(Counters) / sizeof(Number);
constexpr std::size_t kGauges = kGaugesEnd / sizeof(Number);

static_assert(std::is_trivially_copyable_v<Counters>);
static_assert(sizeof(Counters) % sizeof(Number) == 0);

Slot* ownSlot;

ngx_str_t zoneName = ngx_string("ngx_http_chat_module");

bool alive(ngx_atomic_uint_t owner)
{
    return owner != 0 &&
           (kill(static_cast<pid_t>(owner), 0) == 0 || errno != ESRCH);
}

ngx_int_t initZone(ngx_shm_zone_t* zone, void* before)
{
    if (before != nullptr) {
        zone->data = before;
        return NGX_OK;
    }

    auto* pool = reinterpret_cast<ngx_slab_pool_t*>(zone->shm.addr);
    if (zone->shm.exists) {
        zone->data = pool->data;
        return NGX_OK;
    }

    pool->data = ngx_slab_calloc(pool, sizeof(Zone));
    zone->data = pool->data;
    return zone->data == nullptr ? NGX_ERROR : NGX_OK;
}

void clearGauges(Slot* slot)
{
    std::memset(&slot->counters, 0, kGaugesEnd);
}

}  // namespace

ngx_int_t addStatusZone(ngx_conf_t* cf)
{
    std::size_t size = ngx_align(sizeof(Zone), ngx_pagesize) + 8 * ngx_pagesize;

    ngx_shm_zone_t* zone =
        ngx_shared_memory_add(cf, &zoneName, size, &ngx_http_chat_module);
    if (zone == nullptr) {
        return NGX_ERROR;
    }

    zone->init = initZone;
    mainConf(cf)->zone = zone;
    return NGX_OK;
}

ngx_int_t claimSlot(ngx_cycle_t* cycle)
{
    auto* conf = static_cast<MainConf*>(
        ngx_http_cycle_get_module_main_conf(cycle, ngx_http_chat_module));

    if (conf == nullptr || conf->zone == nullptr ||
        (ngx_process != NGX_PROCESS_WORKER &&
         ngx_process != NGX_PROCESS_SINGLE)) {
        return NGX_OK;
    }

    auto* zone = static_cast<Zone*>(conf->zone->data);

    for (Slot& slot : zone->slots) {
        ngx_atomic_uint_t owner = slot.owner;

        if (!alive(owner) &&
            ngx_atomic_cmp_set(&slot.owner, owner,
                               static_cast<ngx_atomic_uint_t>(ngx_pid))) {
            clearGauges(&slot);
            ownSlot = &slot;
            useCounters(&slot.counters);
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                  "more than %uz worker processes, this one is not counted",
                  kSlots);
    return NGX_OK;
}

void giveSlot()
{
    if (ownSlot != nullptr) {
        clearGauges(ownSlot);
        ownSlot->owner = 0;
        ownSlot = nullptr;
    }
}

void sumCounters(ngx_shm_zone_t* zone, Counters* sum)
{
    auto* to = reinterpret_cast<Number*>(sum);
    std::memset(sum, 0, sizeof(*sum));

    for (const Slot& slot : static_cast<Zone*>(zone->data)->slots) {
        const auto* from = reinterpret_cast<const Number*>(&slot.counters);

        for (std::size_t i = alive(slot.owner) ? 0 : kGauges; i < kNumbers;
             ++i) {
            to[i] += from[i];
        }
    }
}

}  // namespace chat
