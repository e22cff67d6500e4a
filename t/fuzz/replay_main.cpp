// Runs a fuzz target once over every file of the folders (or single files)
// given: the corpus as a regression test, without libFuzzer.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it so.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size);

namespace {

namespace fs = std::filesystem;

bool replay(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    std::vector<char> read{std::istreambuf_iterator<char>(file), {}};
    if (!file.is_open() || file.bad()) {
        std::fprintf(stderr, "cannot read %s\n", path.c_str());
        return false;
    }
    // A block of exactly this size, so that a read beyond it is seen.
    std::vector<std::uint8_t> bytes(read.begin(), read.end());
    bytes.shrink_to_fit();
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    return true;
}

}  // namespace

int main(int argc, char** argv)
{
    int files = 0;
    int failed = 0;
    for (int i = 1; i < argc; ++i) {
        std::error_code error;
        if (!fs::is_directory(argv[i], error)) {
            ++files;
            failed += replay(argv[i]) ? 0 : 1;
            continue;
        }
        for (const auto& entry : fs::recursive_directory_iterator(argv[i])) {
            if (entry.is_regular_file()) {
                ++files;
                failed += replay(entry.path()) ? 0 : 1;
            }
        }
    }
    std::printf("%d inputs replayed, %d failed\n", files, failed);
    return files == 0 || failed != 0 ? 1 : 0;
}
