#include "metrics.hpp"

#include "json.hpp"

namespace chat {

namespace {

constexpr std::string_view kPrefix = "chat_worker_";

}  // namespace

void Metrics::add(const Counters& c)
{
    counter("messages_total", c.messages, "Frames from clients.");
    counter("sends_total", c.sends, "Well-formed 234.");
    counter("stored_total", c.stored, "Messages stored and answered 235.");
    counter("duplicates_total", c.duplicates,
            "Repeated send_id, answered 235 and not stored again.");
    counter("recipients_total", c.recipients, "Inbox entries written.");
    counter("errors_total", c.errors, "Frames answered 300.");
    counter("store_failures_total", c.storeFailures,
            "Sends that Redis could not store.");
    counter("lookup_failures_total", c.lookupFailures,
            "Sends whose chat could not be looked up.");
    counter("over_pending_total", c.overPending,
            "Sends refused because of chat.max_pending.");
    counter("keys_acknowledged_total", c.keysAcknowledged,
            "Keys that clients acknowledged.");
    counter("acknowledge_failures_total", c.acknowledgeFailures,
            "Acknowledgements that Redis did not take at once.");
    counter("acknowledge_dropped_total", c.acknowledgeDropped,
            "Keys that stay in the inbox because too many waited for Redis.");
    counter("doorbells_total", c.doorbells,
            "Messages for users of this process.");
    counter("delivered_live_total", c.deliveredLive,
            "Messages to sessions at the moment they were stored.");
    counter("delivered_replayed_total", c.deliveredReplayed,
            "Messages to sessions from the inbox.");
    counter("fanouts_total", c.fanouts, "FANOUT frames to nginx.");
    counter("replays_total", c.replays, "Inboxes listed for a session.");
    counter("replay_failures_total", c.replayFailures,
            "Inbox lists and reads that failed and are tried again.");
    counter("gaps_total", c.gaps,
            "Doorbells that did not come in time; the inbox was listed.");
    counter("held_overflows_total", c.heldOverflows,
            "Users whose held messages were left to the inbox.");
    counter("fell_behind_total", c.fellBehind,
            "Sessions that stopped getting live messages for a while because "
            "their nginx worker did not read.");
    counter(
        "resyncs_total", c.resyncs,
        "Times that every inbox was listed again because doorbells may have "
        "been missed.");
    counter("sessions_attached_total", c.attached, "Sessions, ever.");
    counter("sessions_refused_total", c.refusedSessions,
            "Sessions over relay.max_sessions.");
    counter("undeliverable_total", c.undeliverable,
            "Messages longer than nginx accepts from the relay.");
}

std::string Metrics::prometheus() const
{
    std::string text;
    for (const Metric& metric : all_) {
        text.append("# HELP ").append(kPrefix).append(metric.name);
        text.append(" ").append(metric.help);
        text.append("\n# TYPE ").append(kPrefix).append(metric.name);
        text.append(" ").append(metric.type).append("\n");
        text.append(kPrefix).append(metric.name).append(" ");
        text.append(std::to_string(metric.value)).append("\n");
    }
    return text;
}

std::string Metrics::json() const
{
    std::string text = "{";
    for (const Metric& metric : all_) {
        text.append(text.size() == 1 ? "" : ",");
        json::appendQuoted(text, metric.name);
        text.append(":").append(std::to_string(metric.value));
    }
    return text.append("}");
}

}  // namespace chat
