#include "membership_sqlite.hpp"

#include <sys/stat.h>

#include <charconv>
#include <cstdint>

#include "log.hpp"
#include "members_builder.hpp"

namespace chat {

namespace {

constexpr std::uint64_t kLookInterval = 200;  // ms

using Connection = std::unique_ptr<sqlite3, SqliteClose>;
using Statement = std::unique_ptr<sqlite3_stmt, SqliteClose>;

// Which file stands at the path now; {0, 0} when there is none.
std::pair<dev_t, ino_t> fileAt(const std::string& path)
{
    struct stat info {};

    if (stat(path.c_str(), &info) != 0) {
        return {};
    }

    return {info.st_dev, info.st_ino};
}

int openReadOnly(const std::string& path, Connection& connection)
{
    sqlite3* db = nullptr;
    const int code = sqlite3_open_v2(
        path.c_str(), &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
    connection.reset(db);
    return code;
}

int prepare(sqlite3* db, const std::string& sql, Statement& statement)
{
    sqlite3_stmt* prepared = nullptr;
    const int code =
        sqlite3_prepare_v3(db, sql.c_str(), static_cast<int>(sql.size()) + 1,
                           SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
    statement.reset(prepared);
    return code;
}

// Text that is exactly how an integer is written: "21", not "021".
bool isInteger(std::string_view text, std::int64_t& value)
{
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() &&
           text == std::to_string(value);
}

}  // namespace

class MembershipSqlite::Database {
  public:
    Database(std::string path, std::string query, int timeout)
        : path_(std::move(path)), query_(std::move(query)), timeout_(timeout)
    {
    }

    // On the thread pool, never twice at a time.
    LookupResult find(const std::string& chatId)
    {
        if (db_ && fileAt(path_) != file_) {
            close();
        }

        if (!db_ && !open()) {
            return unavailable();
        }

        bind(chatId);
        int code = sqlite3_step(select_.get());

        for (; code == SQLITE_ROW; code = sqlite3_step(select_.get())) {
            takeRow();
        }

        auto result = builder_.finish();

        if (code != SQLITE_DONE) {
            result = unavailable();
        }

        sqlite3_reset(select_.get());

        if (code != SQLITE_DONE && code != SQLITE_BUSY) {
            close();
        }

        return result;
    }

  private:
    bool open()
    {
        file_ = fileAt(path_);

        if (openReadOnly(path_, db_) != SQLITE_OK) {
            return false;
        }

        sqlite3_busy_timeout(db_.get(), timeout_);
        return prepare(db_.get(), query_, select_) == SQLITE_OK;
    }

    void close()
    {
        select_.reset();
        db_.reset();
    }

    LookupResult unavailable()
    {
        LookupResult result;
        result.reason =
            path_ + ": " + (db_ ? sqlite3_errmsg(db_.get()) : "out of memory");

        if (!select_) {
            close();  // could not be opened or prepared: tried anew next time
        }

        return result;
    }

    // Bound as an integer where it is one: right for columns of both kinds,
    // and for expressions, which have no affinity.
    void bind(const std::string& chatId)
    {
        std::int64_t value = 0;

        if (isInteger(chatId, value)) {
            sqlite3_bind_int64(select_.get(), 1, value);
        } else {
            sqlite3_bind_text(select_.get(), 1, chatId.data(),
                              static_cast<int>(chatId.size()),
                              SQLITE_TRANSIENT);
        }
    }

    void takeRow()
    {
        const bool isNumber =
            sqlite3_column_type(select_.get(), 0) == SQLITE_INTEGER;
        const auto* text = sqlite3_column_text(select_.get(), 0);
        const auto size = sqlite3_column_bytes(select_.get(), 0);

        if (text != nullptr) {
            builder_.add({reinterpret_cast<const char*>(text),
                          static_cast<std::size_t>(size)},
                         isNumber);
        }
    }

    std::string path_;
    std::string query_;
    int timeout_;
    Connection db_;
    Statement select_;
    std::pair<dev_t, ino_t> file_{};
    MembersBuilder builder_;
};

struct MembershipSqlite::Job {
    uv_work_t request{};
    MembershipSqlite* owner;  // null: gone meanwhile
    std::shared_ptr<Database> database;
    std::vector<Question> questions;
};

MembershipSqlite::MembershipSqlite(uv_loop_t* loop, std::string path,
                                   std::string query,
                                   std::chrono::milliseconds timeout)
    : loop_(loop),
      path_(path),
      database_(std::make_shared<Database>(std::move(path), std::move(query),
                                           static_cast<int>(timeout.count())))
{
}

MembershipSqlite::~MembershipSqlite()
{
    if (running_ != nullptr) {
        running_->owner = nullptr;
    }
}

void MembershipSqlite::lookup(std::string_view chatId, Callback callback)
{
    if (!isUsableChatId(chatId)) {
        callback({LookupStatus::NoSuchChat, nullptr, "no usable id"});
        return;
    }

    waiting_.push_back({std::string(chatId), std::move(callback), {}});

    if (running_ == nullptr) {
        startJob();
    }
}

void MembershipSqlite::startJob()
{
    running_ = new Job{{}, this, database_, std::exchange(waiting_, {})};
    running_->request.data = running_;

    uv_queue_work(
        loop_, &running_->request,
        [](uv_work_t* request) {
            auto* job = static_cast<Job*>(request->data);

            for (auto& question : job->questions) {
                question.result = job->database->find(question.chatId);
            }
        },
        [](uv_work_t* request, int) {
            const std::unique_ptr<Job> job(static_cast<Job*>(request->data));

            if (job->owner != nullptr) {
                job->owner->finishJob(*job);
            }
        });
}

void MembershipSqlite::finishJob(Job& job)
{
    running_ = nullptr;

    if (!waiting_.empty()) {
        startJob();
        // The new job is the one that the destructor has to know.
    }

    for (auto& question : job.questions) {
        report(question.result);
        question.callback(question.result);
    }
}

void MembershipSqlite::report(const LookupResult& result)
{
    const bool failed = result.status == LookupStatus::Unavailable;

    if (failed && logged_ != result.reason) {
        log::warn("membership: {}", result.reason);

    } else if (!failed && !logged_.empty()) {
        log::info("membership: {} can be read again", path_);
    }

    logged_ = failed ? result.reason : std::string();
}

bool MembershipSqlite::changed()
{
    if (uv_now(loop_) < nextLook_) {
        return false;
    }

    nextLook_ = uv_now(loop_) + kLookInterval;
    const auto file = fileAt(path_);

    if (!probe_ || file != file_) {
        file_ = file;
        return watch();
    }

    const int code = sqlite3_step(version_.get());
    const auto version = sqlite3_column_int64(version_.get(), 0);
    sqlite3_reset(version_.get());

    // SQLITE_BUSY: a writer is at it and has not committed yet.
    return code == SQLITE_ROW &&
           std::exchange(lastVersion_, version) != version;
}

// Opens the file for changed(). What was known about another file does not
// count; what was known about one that is missing now is all there is.
bool MembershipSqlite::watch()
{
    const bool missing = file_ == std::pair<dev_t, ino_t>{};
    version_.reset();
    probe_.reset();

    if (missing) {
        return false;
    }

    if (openReadOnly(path_, probe_) != SQLITE_OK ||
        prepare(probe_.get(), "PRAGMA data_version", version_) != SQLITE_OK) {
        version_.reset();
        probe_.reset();
        return false;
    }

    if (sqlite3_step(version_.get()) == SQLITE_ROW) {
        lastVersion_ = sqlite3_column_int64(version_.get(), 0);
    }

    sqlite3_reset(version_.get());
    return true;
}

}  // namespace chat
