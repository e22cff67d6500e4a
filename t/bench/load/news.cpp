#include "t/bench/load/news.hpp"

namespace bench {

NewsReader::NewsReader(std::string_view frame) : text_(frame)
{
    static constexpr std::string_view kData = R"("data":{)";
    size_t at = frame.find(kData);

    ok_ = at != std::string_view::npos;
    at_ = ok_ ? at + kData.size() : frame.size();
}

// The string that starts at at_, with its quotes; at_ moves behind it.
std::string_view NewsReader::readString()
{
    size_t start = at_++;

    while (at_ < text_.size() && text_[at_] != '"') {
        at_ += text_[at_] == '\\' ? 2 : 1;
    }
    at_++;
    if (at_ > text_.size()) {
        ok_ = false;
        at_ = text_.size();
    }
    return text_.substr(start, at_ - start);
}

bool NewsReader::next(News* news)
{
    int depth = 0;
    std::string_view name;

    news->content = {};
    while (at_ < text_.size()) {
        switch (text_[at_]) {
        case '"': {
            std::string_view string = readString();
            bool isName = at_ < text_.size() && text_[at_] == ':';
            if (depth == 0 && isName) {
                news->key = string;
            } else if (depth == 1 && isName) {
                name = string;
            } else if (depth == 1 && name == R"("content")") {
                news->content = string.substr(1, string.size() - 2);
            }
            continue;
        }
        case '{':
            depth++;
            break;
        case '}':
            if (depth == 0) {
                at_ = text_.size();
                return false;
            }
            if (--depth == 0) {
                at_++;
                return ok_;
            }
            break;
        default:
            break;
        }
        at_++;
    }
    ok_ = false;
    return false;
}

}  // namespace bench
