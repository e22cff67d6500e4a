// Membership from a SQLite file that belongs to somebody else (Django): opened
// read-only, and found again when it is missing or replaced.
//
// SQLite may block (locks, disk), so queries run on libuv's thread pool, one
// at a time and all that are waiting together. Only changed() runs on the
// loop; it takes no lock that a writer could hold for long.

#pragma once

#include <sqlite3.h>
#include <sys/types.h>
#include <uv.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "membership.hpp"

namespace chat {

struct SqliteClose {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
    void operator()(sqlite3_stmt* statement) const
    {
        sqlite3_finalize(statement);
    }
};

class MembershipSqlite : public Membership {
  public:
    // query: one parameter ($1), users in the first column.
    // timeout: how long a look-up waits for a writer.
    MembershipSqlite(uv_loop_t* loop, std::string path, std::string query,
                     std::chrono::milliseconds timeout);
    ~MembershipSqlite() override;
    MembershipSqlite(const MembershipSqlite&) = delete;
    MembershipSqlite& operator=(const MembershipSqlite&) = delete;

    void lookup(std::string_view chatId, Callback callback) override;

    // Something was committed, or the file is another one, since the last
    // look. False while the file cannot be read. Looks at most every 200 ms,
    // as asking SQLite costs some ten system calls.
    [[nodiscard]] bool changed();

  private:
    struct Question {
        std::string chatId;
        Callback callback;
        LookupResult result;
    };

    // One open file. A job on the thread pool keeps it alive.
    class Database;
    struct Job;

    void startJob();
    void finishJob(Job& job);
    void report(const LookupResult& result);
    [[nodiscard]] bool watch();

    uv_loop_t* loop_;
    std::string path_;
    std::shared_ptr<Database> database_;  // of the thread pool
    std::vector<Question> waiting_;
    Job* running_ = nullptr;
    std::string logged_;  // the failure that was logged last

    // The loop's own connection, for changed().
    std::unique_ptr<sqlite3, SqliteClose> probe_;
    std::unique_ptr<sqlite3_stmt, SqliteClose> version_;
    std::pair<dev_t, ino_t> file_{};
    sqlite3_int64 lastVersion_ = 0;
    std::uint64_t nextLook_ = 0;  // ms of the loop's clock
};

}  // namespace chat
