#include "ngx_chat_module/metrics_text.hpp"

#include <algorithm>
#include <cstring>

namespace chat {

namespace {

struct Metric {
    const char* name;
    std::uint64_t Counters::*value;
    bool gauge;
    const char* help;
};

constexpr Metric kMetrics[] = {
    {"connections", &Counters::connections, true, "WebSocket connections now."},
    {"connections_closing", &Counters::connectionsClosing, true,
     "Of these, in the close handshake."},
    {"connections_parked", &Counters::connectionsParked, true,
     "Of these, not read from because the relay is full."},
    {"connections_unattached", &Counters::unattached, true,
     "Of these, without a chat-worker."},
    {"relay_connections", &Counters::relays, true,
     "Connections to chat-workers now."},
    {"relay_unconfirmed_bytes", &Counters::relayUnconfirmed, true,
     "Messages that no chat-worker has confirmed yet."},
    {"relay_unsent_bytes", &Counters::relayUnsent, true,
     "Of the relay's frames, not yet taken by the chat-workers' sockets."},

    {"handshakes_total", &Counters::handshakes, false,
     "Handshakes answered with 101."},
    {"handshakes_refused_total", &Counters::handshakesRefused, false,
     "Requests that were no valid handshake (400, 426)."},
    {"handshakes_forbidden_total", &Counters::handshakesForbidden, false,
     "Handshakes without a usable chat_user (403)."},
    {"handshakes_user_limit_total", &Counters::limitedUsers, false,
     "Handshakes over chat_max_user_connections (429)."},
    {"messages_received_total", &Counters::messagesIn, false,
     "Messages from clients, text pings included."},
    {"messages_sent_total", &Counters::messagesOut, false,
     "Messages to clients, text pongs included."},
    {"frames_received_total", &Counters::framesIn, false,
     "Frames from clients."},
    {"bytes_received_total", &Counters::bytesIn, false,
     "Bytes from clients, after TLS."},
    {"bytes_sent_total", &Counters::bytesOut, false,
     "Bytes to clients, before TLS."},
    {"sends_total", &Counters::sends, false, "Writes to clients' sockets."},
    {"text_pings_total", &Counters::textPings, false,
     "Text frames \"ping\" answered."},
    {"pings_received_total", &Counters::pingsIn, false,
     "Ping frames from clients."},
    {"pings_sent_total", &Counters::pingsOut, false, "Ping frames to clients."},
    {"pongs_received_total", &Counters::pongsIn, false,
     "Pong frames from clients."},
    {"parked_total", &Counters::parked, false,
     "Times that a client was no longer read from, the relay being full."},
    {"relay_connects_total", &Counters::relayConnects, false,
     "Connections made to chat-workers."},
    {"relay_failures_total", &Counters::relayFailures, false,
     "Connections to chat-workers lost, and attempts in vain."},
    {"relay_messages_total", &Counters::relayMessages, false,
     "Messages given to chat-workers."},
    {"relay_replayed_total", &Counters::relayReplayed, false,
     "Messages given again, to the next chat-worker."},
    {"fanouts_total", &Counters::fanouts, false,
     "FANOUT frames from chat-workers."},
    {"deflate_before_bytes_total", &Counters::deflateIn, false,
     "Messages to clients before compression."},
    {"deflate_after_bytes_total", &Counters::deflateOut, false,
     "The same after compression."},
    {"inflate_before_bytes_total", &Counters::inflateIn, false,
     "Compressed messages from clients."},
    {"inflate_after_bytes_total", &Counters::inflateOut, false,
     "The same inflated."},
};

std::string codeName(std::size_t slot)
{
    switch (slot) {
    case 15:
        return "3xxx";
    case 16:
        return "4xxx";
    case 17:
        return "other";
    default:
        return std::to_string(1000 + slot);
    }
}

// visit(cause, slot, count) for each kind of close that has happened.
template <typename Visit>
void forEachClose(const Counters& counters, Visit&& visit)
{
    for (std::size_t cause = 0; cause < kCauses; ++cause) {
        for (std::size_t slot = 0; slot < kCloseSlots; ++slot) {
            if (counters.closes[cause][slot] != 0) {
                visit(static_cast<Cause>(cause), slot,
                      counters.closes[cause][slot]);
            }
        }
    }
}

void appendAll(std::string* out, std::initializer_list<std::string_view> parts)
{
    for (std::string_view part : parts) {
        out->append(part);
    }
}

// # HELP name text, # TYPE name type
bool isComment(std::string_view line)
{
    return line.substr(0, 7) == "# HELP " || line.substr(0, 7) == "# TYPE ";
}

std::string_view commented(std::string_view line)
{
    line.remove_prefix(7);
    return line.substr(0, line.find(' '));
}

// The samples of a histogram have names of their own.
bool belongs(std::string_view name, std::string_view metric)
{
    if (metric.empty() || name.substr(0, metric.size()) != metric) {
        return false;
    }
    name.remove_prefix(metric.size());
    return name.empty() || name == "_bucket" || name == "_sum" ||
           name == "_count";
}

}  // namespace

void appendPrometheus(std::string* out, const Counters& counters)
{
    for (const Metric& metric : kMetrics) {
        appendAll(
            out,
            {"# HELP chat_", metric.name, " ", metric.help, "\n# TYPE chat_",
             metric.name, metric.gauge ? " gauge\nchat_" : " counter\nchat_",
             metric.name, " ", std::to_string(counters.*metric.value), "\n"});
    }

    out->append(
        "# HELP chat_closes_total Connections closed, by close code, by whom "
        "and why.\n# TYPE chat_closes_total counter\n");
    forEachClose(counters, [&](Cause cause, std::size_t slot,
                               std::uint64_t count) {
        appendAll(out, {"chat_closes_total{code=\"", codeName(slot), "\",by=\"",
                        closedBy(cause), "\",reason=\"", causeName(cause),
                        "\"} ", std::to_string(count), "\n"});
    });
}

void appendJson(std::string* out, const Counters& counters)
{
    out->append("{");
    for (const Metric& metric : kMetrics) {
        appendAll(out, {"\"", metric.name,
                        "\":", std::to_string(counters.*metric.value), ","});
    }

    out->append("\"closes\":[");
    const char* comma = "";
    forEachClose(counters, [&](Cause cause, std::size_t slot,
                               std::uint64_t count) {
        appendAll(out, {comma, "{\"code\":\"", codeName(slot), "\",\"by\":\"",
                        closedBy(cause), "\",\"reason\":\"", causeName(cause),
                        "\",\"count\":", std::to_string(count), "}"});
        comma = ",";
    });
    out->append("]");
}

WorkerMetrics::Metric& WorkerMetrics::metric(std::string_view name)
{
    for (Metric& known : metrics_) {
        if (known.name == name) {
            return known;
        }
    }
    metrics_.push_back({std::string(name), {}, {}});
    return metrics_.back();
}

void WorkerMetrics::add(std::string_view text, std::string_view worker)
{
    std::string_view described;  // by the last comment

    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));

        if (isComment(line)) {
            described = commented(line);
            Metric& to = metric(described);
            if (to.comments.find(line) == std::string::npos) {
                appendAll(&to.comments, {line, "\n"});
            }
            continue;
        }

        std::size_t name = line.find_first_of(" {");
        if (line.empty() || line[0] == '#' || name == std::string_view::npos) {
            continue;
        }

        bool same = belongs(line.substr(0, name), described);
        bool labels = line[name] == '{';
        appendAll(
            &metric(same ? described : line.substr(0, name)).samples,
            {line.substr(0, name), "{worker=\"", worker, "\"",
             labels ? "," : "}", line.substr(labels ? name + 1 : name), "\n"});
    }
}

void WorkerMetrics::append(std::string* out) const
{
    for (const Metric& metric : metrics_) {
        appendAll(out, {metric.comments, metric.samples});
    }
}

}  // namespace chat
