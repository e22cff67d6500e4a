// One relay connection of the RelayServer: the RelayLink on a libuv stream.
//
//   HELLO awaited ──▶ open ──▶ closing: output leaves, input is discarded
//         └───────────┴───────────┴──▶ dropped ──▶ handle closed, deleted
//
// drop() only marks; the end itself comes from flush(), which the owner calls
// for every connection that has asked for it by schedule(). So no handler
// ever sees a link disappear while it uses it.

#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shared/relay_reader.hpp"
#include "worker/relay_link.hpp"
#include "worker/relay_server.hpp"

namespace chat::relay {

class RelayConnection;

// What a connection needs of the server that accepted it.
class ConnectionOwner {
  public:
    virtual ~ConnectionOwner() = default;

    // Call flush() of this connection before the loop waits again.
    virtual void schedule(RelayConnection* connection) = 0;

    // The connection is over; it deletes itself when libuv has let go of it.
    virtual void forget(RelayConnection* connection) = 0;

    virtual RelayHandler& handler() = 0;
    virtual const ServerSettings& settings() const = 0;
    virtual ServerStats& counters() = 0;

    // Where input is read to; shared by all connections.
    virtual uv_buf_t readBuffer() = 0;
};

class RelayConnection final : public RelayLink {
  public:
    // Accepts from a listening stream (uv_pipe_t or uv_tcp_t). Returns a libuv
    // error code; the connection takes care of its own end in any case, and
    // *out is set only on success.
    static int accept(ConnectionOwner* owner, uv_stream_t* listener,
                      std::uint64_t serial, RelayConnection** out);

    std::string* output() override;
    bool congested() const override { return congested_; }
    std::uint32_t maxPayload() const override
    {
        return reader_.peerMaxPayload();
    }
    std::uint64_t serial() const override { return serial_; }
    const std::string& name() const override { return name_; }
    void drop(std::string_view reason) override;

    // End of the loop's turn: RECEIPT, output, reading on or off, or the end.
    void flush();

    // Reads no more; ends when all tickets are finished and all is written.
    void startClosing();

    // To be called now and then, with the loop's time.
    void checkTimeouts(std::uint64_t now);

    // Ends at once, without a word to the handler: the owner goes away.
    void abandon();

    std::size_t queued() const;
    std::size_t pendingTickets() const { return receipts_->pending(); }

  private:
    enum class State : std::uint8_t { Hello, Open, Closing, Dropped };

    RelayConnection(ConnectionOwner* owner, std::uint64_t serial);
    ~RelayConnection() override = default;

    uv_stream_t* stream() { return &handle_.stream; }
    const uv_stream_t* stream() const { return &handle_.stream; }
    std::uint64_t now() const { return uv_now(stream()->loop); }

    void start();
    void schedule();
    void updateReading();
    bool mayRead() const;
    void received(std::string_view bytes);
    void dispatch(const Frame& frame);
    void opened(const Frame& frame);
    void attached(const Frame& frame);
    void requested(const Frame& frame);
    void message(const Frame& frame);
    void sendReceipt();
    void write();
    void written(int status);
    void checkQueue();
    void finishClosing();
    void end();
    void closeHandle();

    static void onRead(uv_stream_t* stream, ssize_t size, const uv_buf_t* buf);

    union Handle {
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    };

    ConnectionOwner* owner_;
    Handle handle_{};
    uv_write_t writeRequest_{};
    uv_shutdown_t shutdownRequest_{};
    std::uint64_t serial_;
    State state_ = State::Hello;
    bool reading_ = false;
    bool writing_ = false;    // writeRequest_ is under way with sending_
    bool scheduled_ = false;  // flush() will come
    bool congested_ = false;
    bool shutdown_ = false;   // our direction is closed
    bool announced_ = false;  // onOpen() was called
    Reader reader_;
    std::shared_ptr<Receipts> receipts_ = std::make_shared<Receipts>();
    std::uint64_t receiptSent_ = 0;
    std::uint64_t lastRead_ = 0;      // loop time, ms
    std::uint64_t lastProgress_ = 0;  // of writing; loop time, ms
    std::size_t lastQueue_ = 0;       // at the last look at the progress
    std::string out_;                 // not yet given to libuv
    std::string sending_;             // libuv holds a view of it
    std::string name_;
    std::string reason_;  // why it was dropped
};

}  // namespace chat::relay
