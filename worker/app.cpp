#include "app.hpp"

#include <unistd.h>

#include <array>
#include <csignal>
#include <random>
#include <utility>

#include "log.hpp"

namespace chat {

namespace {

// What is in flight at SIGTERM has this long to be answered.
constexpr std::chrono::seconds kStopTimeout{10};

std::uint64_t randomNumber()
{
    std::random_device random;
    return (static_cast<std::uint64_t>(random()) << 32) | random();
}

// Different at each start: what a dead process has left belongs to nobody.
std::string makeNodeId()
{
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0) {
        host = {'n', 'o', 'd', 'e'};
    }
    return fmt::format("{}-{:016x}", host.data(), randomNumber());
}

InboxOptions inboxOptions(const Config& config)
{
    InboxOptions options;
    std::string error;
    options.redis = parseRedisUrl(config.redis.url, error).value();
    options.redis.timeout = config.redis.timeout;
    options.node.id = config.node.id.empty() ? makeNodeId() : config.node.id;
    options.node.lease = config.node.lease;
    options.inboxPrefix = config.redis.inboxPrefix;
    options.keyPrefix = config.redis.keyPrefix;
    options.inboxTtl = config.redis.inboxTtl;
    options.dedupeWindow = config.redis.dedupeWindow;
    options.maxInboxMessages = config.redis.maxInboxMessages;
    options.maxInboxBytes = config.redis.maxInboxBytes;
    options.batch = config.redis.batch;
    return options;
}

MembershipOptions membershipOptions(const MembershipSettings& settings)
{
    MembershipOptions options;
    options.url = settings.url;
    options.query = settings.query;
    options.cacheTtl = settings.cacheTtl;
    options.cacheSize = settings.cacheSize;
    options.notifyChannel = settings.notifyChannel;
    options.timeout = settings.timeout;
    return options;
}

relay::ServerSettings serverSettings(const RelaySettings& settings)
{
    relay::ServerSettings server;
    server.listen = settings.listen;
    server.socketMode = settings.socketMode;
    server.name = fmt::format("chat-worker {}", getpid());
    server.instance = randomNumber();
    server.maxPayload = static_cast<std::uint32_t>(settings.maxMessage);
    server.maxQueue = settings.maxQueue;
    return server;
}

}  // namespace

void checkConfig(const Config& config, const std::string& path)
{
    std::string error;
    if (!parseRedisUrl(config.redis.url, error)) {
        throw ConfigError(path + ": \"redis.url\": " + error);
    }
    error = checkMembershipUrl(config.membership.url);
    if (!error.empty()) {
        throw ConfigError(path + ": \"membership.url\": " + error);
    }
}

App::App(uv_loop_t* loop, Config config, std::string path)
    : loop_(loop),
      config_(std::move(config)),
      path_(std::move(path)),
      timers_(loop)
{
    checkConfig(config_, path_);
    log::setLevel(config_.log.level);
    inbox_ = makeInbox(loop_, inboxOptions(config_));
    membership_ = makeMembership(loop_, membershipOptions(config_.membership));
    hub_ = std::make_unique<Hub>(*inbox_, timers_, config_.chat,
                                 config_.relay.maxSessions, counters_);
    chat_ = std::make_unique<Chat>(*hub_, *inbox_, *membership_, timers_,
                                   config_.chat, counters_,
                                   [this] { return metrics(); });
    server_ = std::make_unique<relay::RelayServer>(
        loop_, chat_.get(), serverSettings(config_.relay));
}

App::~App() = default;

void App::run()
{
    for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP}) {
        watch(number);
    }
    if (const auto error = server_->listen()) {
        finish();
        uv_run(loop_, UV_RUN_DEFAULT);
        throw ConfigError(*error);
    }
    for (const auto& address : config_.relay.listen) {
        log::info("listening on {}", address);
    }
    uv_run(loop_, UV_RUN_DEFAULT);
    log::info("ended");
}

void App::watch(int number)
{
    auto signal = std::make_unique<Signal>();
    signal->app = this;
    uv_signal_init(loop_, &signal->handle);
    signal->handle.data = signal.get();
    uv_signal_start(
        &signal->handle,
        [](uv_signal_t* handle, int caught) {
            static_cast<Signal*>(handle->data)->app->onSignal(caught);
        },
        number);
    signals_.push_back(std::move(signal));
}

void App::onSignal(int number)
{
    if (number == SIGHUP) {
        reload();
    } else {
        stop();
    }
}

void App::reload()
{
    try {
        const Config fresh = loadConfig(path_);
        checkConfig(fresh, path_);
        for (const auto& section : reloadConfig(config_, fresh)) {
            log::warn("{}: a change in {} needs a restart", path_, section);
        }
        log::setLevel(config_.log.level);
        hub_->applySettings();
        membership_->configure(config_.membership.cacheTtl,
                               config_.membership.cacheSize);
        log::info("{}: loaded again", path_);
    } catch (const ConfigError& error) {
        log::error("{}; the old settings stay", error.what());
    }
}

void App::stop()
{
    if (std::exchange(stopping_, true)) {
        return;
    }
    log::info("ending: {} sessions stay with nginx", hub_->sessions());
    // Not from within the server, which finish() destroys.
    finish_ = timers_.create([this] { finish(); });
    server_->shutdown(kStopTimeout, [this] { finish_->start(0); });
}

// Takes down everything that keeps the loop running.
void App::finish()
{
    for (auto& signal : signals_) {
        uv_close(reinterpret_cast<uv_handle_t*>(&signal->handle), nullptr);
    }
    // Answers of the stores must not reach what is gone already.
    inbox_.reset();
    membership_.reset();
    server_.reset();
    chat_.reset();
    hub_.reset();
}

Metrics App::metrics() const
{
    Metrics all;
    all.gauge("sessions", hub_->sessions(), "Sessions attached now.");
    all.gauge("users", hub_->users(), "Users with a session now.");
    all.gauge("held_bytes", hub_->heldBytes(),
              "News held for sessions that are catching up.");
    all.gauge("acknowledge_waiting", chat_->waitingAcknowledgements(),
              "Keys that wait for Redis to be deleted.");
    all.gauge("redis_up", inbox_->available() ? 1 : 0,
              "Whether inboxes can be used.");
    const auto inbox = inbox_->stats();
    all.gauge("redis_waiting", inbox.waiting, "Messages that wait for Redis.");
    all.gauge("redis_commands", inbox.inFlight, "Commands without an answer.");
    all.counter("redis_store_groups_total", inbox.groups,
                "Groups of messages that were stored together.");
    all.counter("redis_store_calls_total", inbox.calls,
                "Script calls that stored them.");
    all.counter("redis_store_rests_total", inbox.rests,
                "Times that a busy chat rested between two groups.");
    all.counter("redis_losses_total", inbox.losses,
                "Times that a connection to Redis was lost.");
    all.counter("node_doorbells_total", inbox.doorbells,
                "Messages that other nodes rang for.");
    all.counter("node_gaps_total", inbox.gaps,
                "Times that doorbells of other nodes were missed.");
    all.counter("node_lapses_total", inbox.lapses,
                "Times that the lease of this node had run out.");
    all.add(counters_);
    const auto relay = server_->stats();
    all.gauge("relay_links", relay.links, "nginx workers connected now.");
    all.gauge("relay_tickets", relay.tickets,
              "Messages from nginx that are not dealt with yet.");
    all.gauge("relay_queued_bytes", relay.queued, "Bytes that wait for nginx.");
    all.counter("relay_accepted_total", relay.accepted, "Relay connections.");
    all.counter("relay_failed_total", relay.failed,
                "Relay connections dropped for a fault of nginx' side.");
    all.counter("relay_congested_total", relay.congested,
                "Times that an nginx worker did not read fast enough.");
    all.counter("relay_bytes_in_total", relay.bytesIn, "Bytes from nginx.");
    all.counter("relay_bytes_out_total", relay.bytesOut, "Bytes to nginx.");
    const auto cache = membership_->stats();
    all.gauge("membership_chats", cache.chats, "Chats in the cache.");
    all.gauge("membership_members", cache.members, "Members in the cache.");
    all.counter("membership_hits_total", cache.hits,
                "Look-ups answered by the cache.");
    all.counter("membership_misses_total", cache.misses,
                "Look-ups that asked the database.");
    all.counter("membership_failures_total", cache.failures,
                "Look-ups that the database did not answer.");
    all.counter("membership_evicted_total", cache.evicted,
                "Chats that left the cache for lack of room.");
    all.counter("membership_stale_total", cache.stale,
                "Look-ups answered with old members, the database was away.");
    return all;
}

}  // namespace chat
