// Frames of chat-worker as texts, for tests that look at all of a frame.

#pragma once

#include <string>
#include <vector>

#include "t/unit/chat_world.hpp"
#include "t/unit/run_tests.hpp"

#include <check.h>  // last: it defines a macro named fail
#undef fail         // a method of MembershipMemory

namespace chat::test {

inline const std::string kAsk =
    "{\"code\":231,\"msg\":\"申请初始化当前用户\",\"data\":null}";

inline std::string sent(const std::string& sendId)
{
    return "{\"code\":235,\"msg\":\"信息发送成功\",\"data\":{\"send_id\":\"" +
           sendId + "\",\"msg\":\"成功\"}}";
}

inline std::string refused(const std::string& sendId, const std::string& reason)
{
    return "{\"code\":300,\"msg\":\"信息发送出现异常\",\"data\":{\"send_id\":" +
           sendId + ",\"msg\":\"" + reason + "\"}}";
}

inline void expectTexts(const std::vector<std::string>& got,
                        const std::vector<std::string>& wanted)
{
    std::string text;
    for (const auto& one : got) {
        text += "\n  " + one;
    }
    ck_assert_msg(got == wanted, "got%s", text.c_str());
}

inline std::string keyIn(const std::string& text)
{
    const std::string mark = "\"data\":{\"";
    const std::size_t start = text.find(mark) + mark.size();
    return text.substr(start, text.find('"', start) - start);
}

}  // namespace chat::test
