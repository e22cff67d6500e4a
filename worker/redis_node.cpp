#include "redis_node.hpp"

#include <charconv>
#include <utility>

#include "log.hpp"
#include "redis_reply.hpp"

namespace chat {

namespace {

constexpr std::chrono::milliseconds kBlock{5000};
constexpr int kEntriesPerRead = 128;

constexpr char kRenew[] =
#include "worker/scripts/renew.lua.inc"
    ;
constexpr char kTail[] =
#include "worker/scripts/tail.lua.inc"
    ;

// Takes a number off the front of text.
template <typename Number>
bool take(std::string_view& text, Number& number)
{
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return error == std::errc();
}

std::uint64_t numberOf(std::string_view text)
{
    std::uint64_t number = 0;
    return take(text, number) ? number : 0;
}

}  // namespace

bool parseRecipients(std::string_view text, Doorbell& doorbell)
{
    while (!text.empty()) {
        const char kind = text.front();
        std::size_t length = 0;
        std::uint64_t sequence = 0;
        text.remove_prefix(1);

        if ((kind != 'n' && kind != 's') || !take(text, length) ||
            text.empty() || text.front() != ':' || text.size() <= length) {
            return false;
        }

        const auto user = text.substr(1, length);
        text.remove_prefix(1 + length);

        if (!take(text, sequence)) {
            return false;
        }

        if (!text.empty()) {
            if (text.front() != ' ') {
                return false;
            }

            text.remove_prefix(1);
        }

        doorbell.recipients.push_back({std::string(user), kind == 'n'});
        doorbell.sequences.push_back(sequence);
    }

    return true;
}

RedisNode::RedisNode(uv_loop_t* loop, RedisConnection& commands,
                     const InboxOptions& options, Events events)
    : commands_(commands),
      options_(options),
      events_(std::move(events)),
      renew_(kRenew),
      tail_(kTail),
      streamKey_(options.keyPrefix + "node:" + options.node.id),
      timers_(loop),
      timer_(timers_.create([this] { renew(); })),
      stream_(loop, options.redis, "redis stream",
              {.ready = [this] { readTail(); },
               .lost =
                   [this](const std::string&) {
                       reading_ = false;
                       missed_ = true;
                   }})
{
}

void RedisNode::commandsReady()
{
    renew_.load(commands_);
    renew();
}

void RedisNode::commandsLost()
{
    timer_->stop();
    registered_ = false;
    missed_ = true;
}

void RedisNode::renew()
{
    renew_.run(
        commands_, 6,
        [this](RedisCommand& command) {
            command.add(1)
                .add(options_.keyPrefix, "nodes")
                .add(options_.node.id)
                .add(options_.node.lease.count())
                .add(options_.keyPrefix)
                .add(reading_ ? lastId_ : std::string_view());
        },
        [this](const redisReply* reply, const std::string& error) {
            if (reply != nullptr) {
                onRenewed(reply->integer == 1);

            } else if (commands_.ready()) {
                log::warn("redis: cannot renew the lease of this node: {}",
                          error);
            }
        });

    timer_->start(static_cast<std::uint64_t>(options_.node.lease.count()) / 3);
}

void RedisNode::onRenewed(bool stillRunning)
{
    if (!stillRunning) {
        missed_ = true;

        if (registered_) {
            ++stats_.lapses;
            log::warn("redis: the lease of this node had run out");
        }
    }

    registered_ = true;
    resyncWhenWhole();
}

void RedisNode::readTail()
{
    tail_.load(stream_);
    tail_.run(
        stream_, 3,
        [this](RedisCommand& command) {
            command.add(2).add(streamKey_).add(streamKey_, ":count");
        },
        [this](const redisReply* reply, const std::string& error) {
            if (reply == nullptr || reply->elements != 2) {
                if (stream_.ready()) {
                    stream_.drop("cannot read " + streamKey_ + ": " + error);
                }

                return;
            }

            lastId_ = textOf(reply->element[0]);
            count_ = numberOf(textOf(reply->element[1]));
            reading_ = true;
            readOn();
            resyncWhenWhole();
        });
}

void RedisNode::readOn()
{
    command_.begin(8)
        .add("XREAD")
        .add("BLOCK")
        .add(kBlock.count())
        .add("COUNT")
        .add(kEntriesPerRead)
        .add("STREAMS")
        .add(streamKey_)
        .add(lastId_);

    stream_.send(
        command_,
        [this](const redisReply* reply, const std::string& error) {
            if (reply != nullptr) {
                onEntries(reply);

            } else if (stream_.ready()) {
                stream_.drop("cannot read " + streamKey_ + ": " + error);
            }
        },
        kBlock);
}

// [[stream, [[id, [field, value, ...]], ...]]], or nil when time was up.
void RedisNode::onEntries(const redisReply* reply)
{
    const redisReply* entries = nullptr;

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
        reply->element[0]->elements == 2) {
        entries = reply->element[0]->element[1];

        for (std::size_t i = 0; i < entries->elements; ++i) {
            if (entries->element[i]->elements == 2) {
                lastId_ = textOf(entries->element[i]->element[0]);
            }
        }
    }

    readOn();  // Redis reads on while these are delivered

    for (std::size_t i = 0; entries != nullptr && i < entries->elements; ++i) {
        if (entries->element[i]->elements == 2) {
            onEntry(entries->element[i]->element[1]);
        }
    }

    resyncWhenWhole();
}

void RedisNode::onEntry(const redisReply* fields)
{
    std::shared_ptr<News> news;
    Doorbell doorbell;
    bool whole = true;

    for (std::size_t i = 0; i + 1 < fields->elements; i += 2) {
        const auto name = textOf(fields->element[i]);
        const auto value = textOf(fields->element[i + 1]);

        if (name == "n") {
            const auto number = numberOf(value);
            whole = number == count_ + 1;
            count_ = number;
        } else if (name == "m") {
            news = std::make_shared<News>();
            news->messageId = value;
            doorbell.news.push_back(news);
        } else if (name == "b" && news) {
            news->before = value;
        } else if (name == "a" && news) {
            news->after = value;
        } else if (name == "r" && !parseRecipients(value, doorbell)) {
            log::warn("redis stream: an entry of unknown form");
            missed_ = true;
        }
    }

    if (!whole) {
        ++stats_.gaps;
        missed_ = true;
    }

    stats_.doorbells += doorbell.news.size();
    events_.doorbell(doorbell);
}

void RedisNode::resyncWhenWhole()
{
    if (missed_ && registered_ && reading_) {
        missed_ = false;
        events_.resync();
    }
}

void RedisNode::signOff()
{
    if (!commands_.ready()) {
        return;
    }

    const auto ignore = [](const redisReply*, const std::string&) {
    };
    commands_.send(command_.begin(3)
                       .add("ZREM")
                       .add(options_.keyPrefix, "nodes")
                       .add(options_.node.id),
                   ignore);
    commands_.send(command_.begin(3)
                       .add("UNLINK")
                       .add(streamKey_)
                       .add(streamKey_, ":count"),
                   ignore);
    commands_.flush();
}

}  // namespace chat
