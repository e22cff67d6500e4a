#include "redis_script.hpp"

#include <utility>

namespace chat {

void RedisScript::load(RedisConnection& connection)
{
    connection.send(
        command_.begin(3).add("SCRIPT").add("LOAD").add(text_),
        [this](const redisReply* reply, const std::string&) {
            if (reply != nullptr && reply->type == REDIS_REPLY_STRING) {
                digest_.assign(reply->str, reply->len);
            }
        });
}

void RedisScript::run(RedisConnection& connection, std::size_t arguments,
                      Fill fill, RedisConnection::Callback callback)
{
    if (digest_.empty()) {
        evaluate(connection, arguments, fill, std::move(callback));
        return;
    }

    command_.begin(2 + arguments).add("EVALSHA").add(digest_);
    fill(command_);
    connection.send(command_,
                    [this, &connection, arguments, fill = std::move(fill),
                     callback = std::move(callback)](const redisReply* reply,
                                                     const std::string& error) {
                        if (reply == nullptr && error.starts_with("NOSCRIPT")) {
                            evaluate(connection, arguments, fill, callback);
                        } else {
                            callback(reply, error);
                        }
                    });
}

void RedisScript::evaluate(RedisConnection& connection, std::size_t arguments,
                           const Fill& fill, RedisConnection::Callback callback)
{
    command_.begin(2 + arguments).add("EVAL").add(text_);
    fill(command_);
    connection.send(command_, std::move(callback));
}

}  // namespace chat
