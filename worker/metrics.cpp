#include "metrics.hpp"

#include "json.hpp"

namespace chat {

namespace {

constexpr std::string_view kPrefix = "chat_worker_";

}  // namespace

void appendCounters(std::vector<Metric>& metrics, const Counters& c)
{
    const auto add = [&metrics](std::string_view name, std::uint64_t value,
                                std::string_view help) {
        metrics.push_back({name, Metric::Type::Counter, help, value});
    };
    add("messages_total", c.messages, "Frames from clients.");
    add("sends_total", c.sends, "Well-formed 234.");
    add("stored_total", c.stored, "Messages stored and answered 235.");
    add("duplicates_total", c.duplicates,
        "Repeated send_id, answered 235 and not stored again.");
    add("recipients_total", c.recipients, "Inbox entries written.");
    add("errors_total", c.errors, "Frames answered 300.");
    add("store_failures_total", c.storeFailures,
        "Sends that Redis could not store.");
    add("lookup_failures_total", c.lookupFailures,
        "Sends whose chat could not be looked up.");
    add("over_pending_total", c.overPending,
        "Sends refused because of chat.max_pending.");
    add("keys_acknowledged_total", c.keysAcknowledged,
        "Keys that clients acknowledged.");
    add("acknowledge_failures_total", c.acknowledgeFailures,
        "Acknowledgements that Redis did not take at once.");
    add("acknowledge_dropped_total", c.acknowledgeDropped,
        "Keys that stay in the inbox because too many waited for Redis.");
    add("doorbells_total", c.doorbells, "Messages for users of this process.");
    add("delivered_live_total", c.deliveredLive,
        "Messages to sessions at the moment they were stored.");
    add("delivered_replayed_total", c.deliveredReplayed,
        "Messages to sessions from the inbox.");
    add("fanouts_total", c.fanouts, "FANOUT frames to nginx.");
    add("replays_total", c.replays, "Inboxes listed for a session.");
    add("replay_failures_total", c.replayFailures,
        "Inbox lists and reads that failed and are tried again.");
    add("gaps_total", c.gaps,
        "Doorbells that did not come in time; the inbox was listed.");
    add("held_overflows_total", c.heldOverflows,
        "Users whose held messages were left to the inbox.");
    add("fell_behind_total", c.fellBehind,
        "Sessions that stopped getting live messages for a while because "
        "their nginx worker did not read.");
    add("resyncs_total", c.resyncs,
        "Times that every inbox was listed again because doorbells may have "
        "been missed.");
    add("sessions_attached_total", c.attached, "Sessions, ever.");
    add("sessions_refused_total", c.refusedSessions,
        "Sessions over relay.max_sessions.");
    add("undeliverable_total", c.undeliverable,
        "Messages longer than nginx accepts from the relay.");
}

std::string renderPrometheus(const std::vector<Metric>& metrics)
{
    std::string text;
    for (const Metric& metric : metrics) {
        const bool gauge = metric.type == Metric::Type::Gauge;
        text.append("# HELP ").append(kPrefix).append(metric.name);
        text.append(" ").append(metric.help);
        text.append("\n# TYPE ").append(kPrefix).append(metric.name);
        text.append(gauge ? " gauge\n" : " counter\n");
        text.append(kPrefix).append(metric.name).append(" ");
        text.append(std::to_string(metric.value)).append("\n");
    }
    return text;
}

std::string renderJson(const std::vector<Metric>& metrics)
{
    std::string text = "{";
    for (const Metric& metric : metrics) {
        text.append(text.size() == 1 ? "" : ",");
        json::appendQuoted(text, metric.name);
        text.append(":").append(std::to_string(metric.value));
    }
    return text.append("}");
}

}  // namespace chat
