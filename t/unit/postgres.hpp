// A PostgreSQL of the test's own, on a Unix socket. It refuses to run as root,
// so root starts it as the user "postgres", who owns its folder.

#pragma once

#include <libpq-fe.h>
#include <pwd.h>

#include <string>

#include "servers.hpp"

namespace chat::test {

class PostgresServer {
  public:
    PostgresServer()
    {
        const auto data = dir_ / "data";
        as_ = "";

        if (geteuid() == 0) {
            const auto* user = getpwnam("postgres");
            const bool owned =
                user != nullptr &&
                chown(dir_.path().c_str(), user->pw_uid, user->pw_gid) == 0;

            if (!owned) {
                throw std::runtime_error("no user postgres");
            }

            as_ = "postgres";
        }

        Process initdb;
        initdb.start(command({"initdb", "-D", data, "-A", "trust", "-U", "chat",
                              "--no-sync", "-E", "UTF8"}),
                     dir_ / "log");

        if (initdb.wait() != 0) {
            throw std::runtime_error("initdb fails");
        }

        start();
    }

    ~PostgresServer() { stop(); }

    void start()
    {
        process_.start(command({"postgres", "-D", dir_ / "data", "-k",
                                dir_.path(), "-c", "listen_addresses=", "-c",
                                "fsync=off", "-c", "log_min_messages=fatal"}),
                       dir_ / "log");

        if (!eventually([this] { return answers(); })) {
            throw std::runtime_error("postgres does not start");
        }
    }

    void stop() { process_.stop(SIGQUIT); }

    // The server side of every connection, ours excepted.
    void signalBackends(int number)
    {
        const auto pids =
            run("SELECT string_agg(pid::text, ' ') FROM pg_stat_activity"
                " WHERE backend_type = 'client backend'"
                " AND pid <> pg_backend_pid()");

        for (std::size_t at = 0; at < pids.size();) {
            kill(std::stoi(pids.substr(at)), number);
            at = std::min(pids.find(' ', at), pids.size() - 1) + 1;
        }
    }

    [[nodiscard]] std::string url() const
    {
        return "postgresql://chat@/postgres?host=" + dir_.path();
    }

    // The first value of the result. Each call has a connection of its own:
    // one that forked tests shared would be ended by the first of them.
    std::string run(const std::string& sql) const
    {
        const Client client(PQconnectdb(url().c_str()));
        const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
            PQexec(client.get(), sql.c_str()), PQclear);
        const auto status = PQresultStatus(result.get());

        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            throw std::runtime_error(PQerrorMessage(client.get()));
        }

        return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0)
                                           : "";
    }

  private:
    std::vector<std::string> command(std::vector<std::string> words) const
    {
        words[0] = "/usr/lib/postgresql/15/bin/" + words[0];

        if (!as_.empty()) {
            const char* prefix[] = {"setpriv",     "--reuid",  "postgres",
                                    "--regid",     "postgres", "--init-groups",
                                    "--pdeathsig", "KILL"};
            words.insert(words.begin(), std::begin(prefix), std::end(prefix));
        }

        return words;
    }

    struct Finish {
        void operator()(PGconn* connection) const { PQfinish(connection); }
    };
    using Client = std::unique_ptr<PGconn, Finish>;

    [[nodiscard]] bool answers() const
    {
        const Client client(PQconnectdb(url().c_str()));
        return PQstatus(client.get()) == CONNECTION_OK;
    }

    TempDir dir_;
    std::string as_;
    Process process_;
};

}  // namespace chat::test
