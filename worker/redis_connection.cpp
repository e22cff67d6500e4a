#include "redis_connection.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "log.hpp"
#include "redis_events.hpp"
#include "redis_reply.hpp"

namespace chat {

namespace {

constexpr std::uint64_t kFirstBackoff = 50;  // ms
constexpr std::uint64_t kLongestBackoff = 1000;

// A reply may already stand in the socket when this process itself was
// stopped or starved past the deadline: read once more before giving up.
constexpr std::uint64_t kGrace = 50;  // ms

// Bytes of commands without an answer: more is refused.
constexpr std::size_t kMaxQueued = 64U << 20;

bool saysReplica(const redisReply* reply)
{
    return reply != nullptr && reply->type == REDIS_REPLY_ARRAY &&
           reply->elements > 0 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           textOf(reply->element[0]) == "slave";
}

}  // namespace

RedisConnection::RedisConnection(uv_loop_t* loop, const RedisOptions& options,
                                 std::string name, Events events)
    : loop_(loop),
      options_(options),
      name_(std::move(name)),
      events_(std::move(events)),
      timers_(loop),
      timer_(timers_.create([this] { onTimer(); })),
      random_(std::random_device{}())
{
}

RedisConnection::~RedisConnection()
{
    if (context_ != nullptr) {
        context_->data = nullptr;
        redisAsyncFree(context_);
    }
}

void RedisConnection::start()
{
    if (state_ == State::Idle) {
        connect();
    }
}

std::string RedisConnection::place() const
{
    return options_.path.empty()
               ? options_.host + ":" + std::to_string(options_.port)
               : "unix:" + options_.path;
}

void RedisConnection::connect()
{
    connectDeadline_ =
        timers_.now() + static_cast<std::uint64_t>(options_.timeout.count());
    timer_->start(static_cast<std::uint64_t>(options_.timeout.count()));

    if (options_.path.empty()) {
        resolve();
    } else {
        open(nullptr);
    }
}

// hiredis would resolve the name in a blocking call.
void RedisConnection::resolve()
{
    state_ = State::Resolving;
    lookup_ = std::make_unique<NameLookup>(
        loop_, options_.host,
        [this](const std::string& address, const std::string& error) {
            if (address.empty()) {
                lose("cannot resolve " + options_.host + ": " + error);
            } else {
                open(address.c_str());
            }
        });
}

void RedisConnection::open(const char* address)
{
    state_ = State::Connecting;
    context_ = address == nullptr ? redisAsyncConnectUnix(options_.path.c_str())
                                  : redisAsyncConnect(address, options_.port);

    if (context_ == nullptr) {
        lose("out of memory");
        return;
    }

    if (context_->err != 0) {
        // hiredis calls nothing back for a context that failed at once.
        const std::string why = context_->errstr;
        redisAsyncFree(std::exchange(context_, nullptr));
        lose(why);
        return;
    }

    if (!RedisEvents::attach(loop_, context_)) {
        redisAsyncFree(std::exchange(context_, nullptr));
        lose("the event loop refuses the socket");
        return;
    }

    context_->data = this;
    redisAsyncSetConnectCallback(
        context_, [](const redisAsyncContext* context, int status) {
            if (auto* self = of(context); self != nullptr) {
                self->onConnected(status);
            }
        });
    redisAsyncSetDisconnectCallback(
        context_, [](const redisAsyncContext* context, int) {
            if (auto* self = of(context); self != nullptr) {
                self->lose(context->errstr);
            }
        });
}

void RedisConnection::onConnected(int status)
{
    if (status != REDIS_OK) {
        // hiredis frees the context by itself after this.
        const std::string why = context_->c.errstr;
        context_->data = nullptr;
        context_ = nullptr;
        lose(why);
        return;
    }

    if (options_.path.empty()) {
        redisEnableKeepAlive(&context_->c);
    }

    greet();
}

void RedisConnection::greet()
{
    state_ = State::Greeting;
    const auto now = timers_.now();
    const auto allowed = connectDeadline_ > now ? connectDeadline_ - now : 0;
    const auto step = [this](const redisReply* reply,
                             const std::string& error) {
        onGreeting(false, reply, error);
    };
    RedisCommand command;

    if (!options_.password.empty() && !options_.user.empty()) {
        command.begin(3).add("AUTH").add(options_.user).add(options_.password);
        transmit(command, step, allowed);

    } else if (!options_.password.empty()) {
        transmit(command.begin(2).add("AUTH").add(options_.password), step,
                 allowed);
    }

    if (options_.database != 0) {
        transmit(command.begin(2).add("SELECT").add(options_.database), step,
                 allowed);
    }

    const auto role = [this](const redisReply* reply, const std::string&) {
        // Who may not ask for the role finds out by READONLY.
        if (saysReplica(reply)) {
            drop("it is a read-only replica");
        }
    };
    transmit(command.begin(1).add("ROLE"), role, allowed);

    const auto last = [this](const redisReply* reply,
                             const std::string& error) {
        onGreeting(true, reply, error);
    };
    transmit(command.begin(1).add("PING"), last, allowed);
}

void RedisConnection::onGreeting(bool last, const redisReply* reply,
                                 const std::string& error)
{
    if (state_ != State::Greeting) {
        return;
    }

    if (reply == nullptr) {
        drop(error);

    } else if (last) {
        becomeReady();
    }
}

void RedisConnection::becomeReady()
{
    state_ = State::Ready;
    reason_.clear();
    logged_.clear();
    attempts_ = 0;
    log::info("{}: connected to {}", name_, place());

    if (events_.ready) {
        events_.ready();
    }
}

void RedisConnection::send(const RedisCommand& command, Callback callback,
                           std::chrono::milliseconds extra)
{
    if (state_ != State::Ready) {
        callback(nullptr, reason_);
        return;
    }

    if (queued_ > kMaxQueued) {
        callback(nullptr, "BUSY too much is waiting for an answer of Redis");
        return;
    }

    transmit(command, std::move(callback),
             static_cast<std::uint64_t>((options_.timeout + extra).count()));
}

void RedisConnection::transmit(const RedisCommand& command, Callback callback,
                               std::uint64_t allowed)
{
    if (context_ == nullptr) {
        return;  // the greeting was refused while it was being sent
    }

    const auto onAnswer = [](redisAsyncContext* context, void* reply, void*) {
        if (auto* self = of(context); self != nullptr) {
            self->onReply(static_cast<const redisReply*>(reply));
        }
    };

    const auto size = command.text().size();
    pending_.push_back({std::move(callback), timers_.now() + allowed, size});
    queued_ += size;

    if (redisAsyncFormattedCommand(context_, onAnswer, nullptr,
                                   command.text().data(), size) != REDIS_OK) {
        auto refused = std::move(pending_.back().callback);
        pending_.pop_back();
        queued_ -= size;
        refused(nullptr, "the connection is being closed");
        return;
    }

    if (!timer_->running()) {
        timer_->start(allowed);
    }
}

void RedisConnection::onReply(const redisReply* reply)
{
    if (reply == nullptr) {
        // hiredis is taking the connection down: it calls back everything in
        // flight first, and tells of the loss only afterwards.
        lose(context_->errstr == nullptr ? "closed" : context_->errstr);
        return;
    }

    if (pending_.empty()) {
        return;
    }

    ++replies_;
    queued_ -= pending_.front().size;
    const auto callback = std::move(pending_.front().callback);
    pending_.pop_front();

    if (reply->type == REDIS_REPLY_ERROR) {
        const std::string error(textOf(reply));
        callback(nullptr, error);

        if (error.starts_with("READONLY") || error.starts_with("LOADING")) {
            drop(error);  // not the server that we connected to any more
        }
    } else {
        callback(reply, {});
    }
}

void RedisConnection::onTimer()
{
    if (state_ == State::Waiting) {
        connect();
        return;
    }

    if (pending_.empty() && state_ == State::Ready) {
        return;  // the next command starts the timer again
    }

    const auto now = timers_.now();
    const auto deadline =
        pending_.empty() ? connectDeadline_ : pending_.front().deadline;

    if (deadline > now) {
        grace_ = false;
        timer_->start(deadline - now);
        return;
    }

    if (!grace_ || graceReplies_ != replies_) {
        grace_ = true;
        graceReplies_ = replies_;
        timer_->start(kGrace);
        return;
    }

    drop("no answer within " + std::to_string(options_.timeout.count()) +
         " ms");
}

void RedisConnection::flush()
{
    if (context_ != nullptr) {
        RedisEvents::flush(context_);
    }
}

void RedisConnection::drop(const std::string& reason)
{
    lose(reason);
}

// The one way out of every state. Lets go of hiredis' context, then tells the
// owner, then those who wait for an answer.
void RedisConnection::lose(const std::string& reason)
{
    if (state_ == State::Waiting || state_ == State::Idle) {
        return;
    }

    const bool wasReady = state_ == State::Ready;
    state_ = State::Waiting;
    reason_ = "CONNECTION " + place() + ": " + reason;
    grace_ = false;

    lookup_.reset();

    if (context_ != nullptr) {
        context_->data = nullptr;
        auto* context = std::exchange(context_, nullptr);

        // Deferred by hiredis when it is in a callback of this context, and
        // nothing new when it is freeing it already.
        if ((context->c.flags & (REDIS_FREEING | REDIS_DISCONNECTING)) == 0) {
            redisAsyncFree(context);
        }
    }

    if (logged_ != reason) {
        logged_ = reason;
        log::warn("{}: {} {}: {}; trying again", name_,
                  wasReady ? "lost" : "cannot use", place(), reason);
    }

    waitAndRetry();
    const auto failed = std::exchange(pending_, {});
    queued_ = 0;

    if (wasReady) {
        ++losses_;

        if (events_.lost) {
            events_.lost(reason_);
        }
    }

    for (const auto& pending : failed) {
        pending.callback(nullptr, reason_);
    }
}

// Exponential, and spread so that many workers do not come back in step.
void RedisConnection::waitAndRetry()
{
    const auto step = std::min<std::uint64_t>(
        kLongestBackoff, kFirstBackoff << std::min(attempts_, 10U));
    ++attempts_;
    std::uniform_int_distribution<std::uint64_t> spread(step / 2, step);
    timer_->start(spread(random_));
}

}  // namespace chat
