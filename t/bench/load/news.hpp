// Reads the entries of a 236 frame: {"code":236,…,"data":{key: news, …}}.
#pragma once

#include <string_view>

namespace bench {

struct News {
    std::string_view key;      // with its quotes
    std::string_view content;  // without them; escapes as they came
};

class NewsReader {
  public:
    explicit NewsReader(std::string_view frame);

    bool next(News* news);
    bool ok() const { return ok_; }

  private:
    std::string_view readString();

    std::string_view text_;
    size_t at_ = 0;
    bool ok_ = true;
};

}  // namespace bench
