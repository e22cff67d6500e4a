// All chat-workers behind one chat_pass: spreads the sessions over them, moves
// those of a dead one, holds messages while none is there.

#pragma once

#include <cstdint>
#include <string_view>

#include "ngx_chat_module/conf.hpp"
#include "ngx_chat_module/journal.hpp"
#include "ngx_chat_module/ngx.hpp"
#include "ngx_chat_module/relay.hpp"

namespace chat {

struct Session;

enum class Submit : std::uint8_t {
    Done,
    Full,    // chat_relay_buffer: come again after waitForRelay()
    TooBig,  // more than this chat-worker takes
    NoMemory,
};

class RelayGroup {
  public:
    RelayGroup() = default;
    ~RelayGroup() { delete[] links_; }
    RelayGroup(const RelayGroup&) = delete;
    RelayGroup& operator=(const RelayGroup&) = delete;

    // The group of this process, made and connected on first use. Null: no
    // memory or no usable server.
    static RelayGroup* of(RelayConf* conf);

    const RelayConf& conf() const { return *conf_; }

    void attach(Session* session);
    void detach(Session* session);
    Submit submit(Session* session, std::string_view message, bool binary);
    bool wait(Session* session);

    // Called by the links.
    void linkUp();     // a link is connected
    void linkReady();  // the HELLO of one has come
    void linkDown(RelayLink* link);
    void roomMade();

    void close();

    std::uint32_t links() const { return linkCount_; }
    RelayLink& link(std::uint32_t i) { return links_[i]; }

  private:
    bool init(RelayConf* conf);
    RelayLink* pick();
    bool mine(const Session* session) const;
    void attachTo(RelayLink* link, Session* session);
    Journal& journalOf(const Session* session);
    void resend(std::string_view frame);
    void resendWaiting();
    void accountWaiting();

    // A server that has come back gets its share of the sessions again, bit by
    // bit and only those that are waiting for nothing.
    static void onBalance(ngx_event_t* event);
    void balanceSoon();
    bool shouldMove(const Session* session, const RelayLink* to) const;
    void move(Session* session, RelayLink* to);

    RelayConf* conf_ = nullptr;
    RelayLink* links_ = nullptr;
    std::uint32_t linkCount_ = 0;
    std::uint32_t sessions_ = 0;
    std::uint64_t* parked_ = nullptr;  // ids, in the order of waiting
    std::uint32_t parkedCount_ = 0;
    std::uint32_t parkedCapacity_ = 0;
    Journal waiting_;               // messages while no chat-worker is there
    std::size_t waitingBytes_ = 0;  // of them, as counted in the metrics
    ngx_event_t balance_ = {};
    TimerData timerData_ = {};
    std::uint32_t cursor_ = 0;  // slot at which balancing goes on
};

// What the rest of the module says; each finds the session's group.
void attachSession(Session* session);
void detachSession(Session* session);
Submit submit(Session* session, std::string_view message, bool binary);

// To be called again for what is parked when there is room. False: no memory.
bool waitForRelay(Session* session);
void written(Session* session);

// Before this process exits.
void closeRelays(ngx_cycle_t* cycle);

}  // namespace chat
