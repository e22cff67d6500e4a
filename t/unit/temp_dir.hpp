// A folder of a test's own under /tmp, gone with the object. It belongs to the
// process that made it: Check forks for each test.

#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace chat::test {

class TempDir {
  public:
    TempDir()
    {
        char name[] = "/tmp/chat-unit-XXXXXX";

        if (mkdtemp(name) == nullptr) {
            throw std::runtime_error("mkdtemp");
        }

        path_ = name;
    }
    ~TempDir()
    {
        if (owner_ == getpid()) {
            std::filesystem::remove_all(path_);
        }
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    [[nodiscard]] std::string operator/(const std::string& name) const
    {
        return path_ + "/" + name;
    }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
    pid_t owner_ = getpid();
};

}  // namespace chat::test
