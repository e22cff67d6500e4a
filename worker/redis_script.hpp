// A Lua script that lives in the binary (worker/scripts/*.lua) and is called
// by its digest. When Redis does not know it (first call, SCRIPT FLUSH, another
// server after a failover), it is sent along with the call.

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "redis_connection.hpp"

namespace chat {

class RedisScript {
  public:
    // Adds the arguments: number of keys, KEYS, ARGV.
    using Fill = std::function<void(RedisCommand& command)>;

    explicit RedisScript(std::string_view text) : text_(text) {}
    RedisScript(const RedisScript&) = delete;
    RedisScript& operator=(const RedisScript&) = delete;

    // To be called for each new connection, before run(): asks Redis to keep
    // the script and learns its digest. Until the answer is there, run()
    // sends the text.
    void load(RedisConnection& connection);

    // arguments: how many Fill adds. Fill is called again when the script has
    // to be sent along, so what it refers to must live until the callback.
    // Script and connection must outlive the call.
    void run(RedisConnection& connection, std::size_t arguments, Fill fill,
             RedisConnection::Callback callback);

  private:
    void evaluate(RedisConnection& connection, std::size_t arguments,
                  const Fill& fill, RedisConnection::Callback callback);

    std::string_view text_;
    std::string digest_;
    RedisCommand command_;
};

}  // namespace chat
