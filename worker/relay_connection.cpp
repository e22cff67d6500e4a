#include "worker/relay_connection.hpp"

#include <exception>
#include <utility>

#include "worker/log.hpp"

namespace chat::relay {

namespace {

// A buffer that a burst has blown up is given back after it.
constexpr std::size_t kKeepCapacity = 1U << 20;

// Finished messages behind an unfinished one cost a bit each, so their number
// needs a bound too, but a generous one.
constexpr std::size_t kWindowFactor = 8;

}  // namespace

RelayConnection::RelayConnection(ConnectionOwner* owner, std::uint64_t serial)
    : owner_(owner),
      serial_(serial),
      reader_(Side::Worker, owner->settings().maxPayload),
      name_("relay " + std::to_string(serial))
{
    receipts_->onFinish = [this] {
        schedule();
    };
}

int RelayConnection::accept(ConnectionOwner* owner, uv_stream_t* listener,
                            std::uint64_t serial, RelayConnection** out)
{
    auto* connection = new RelayConnection(owner, serial);
    auto& handle = connection->handle_;
    int error = listener->type == UV_TCP
                    ? uv_tcp_init(listener->loop, &handle.tcp)
                    : uv_pipe_init(listener->loop, &handle.pipe, 0);

    if (error != 0) {
        delete connection;
        return error;
    }

    handle.stream.data = connection;
    error = uv_accept(listener, &handle.stream);

    if (error != 0) {
        connection->abandon();
        return error;
    }

    if (listener->type == UV_TCP) {
        uv_tcp_nodelay(&handle.tcp, 1);
    }
    connection->start();
    *out = connection;
    return 0;
}

void RelayConnection::start()
{
    const ServerSettings& settings = owner_->settings();

    Hello hello;
    hello.instance = settings.instance;
    hello.maxPayload = settings.maxPayload;
    hello.name = settings.name;
    appendHello(output(), hello);
}

std::string* RelayConnection::output()
{
    checkQueue();
    schedule();
    return &out_;
}

void RelayConnection::schedule()
{
    if (!scheduled_ && owner_ != nullptr) {
        scheduled_ = true;
        owner_->schedule(this);
    }
}

std::size_t RelayConnection::queued() const
{
    return out_.size() + uv_stream_get_write_queue_size(stream());
}

void RelayConnection::checkQueue()
{
    std::size_t limit = owner_->settings().maxQueue;
    std::size_t size = queued();

    if (state_ == State::Dropped) {
        out_.clear();

    } else if (size >= 2 * limit) {
        drop("too much output is waiting");

    } else if (size >= limit && !congested_) {
        congested_ = true;
        ++owner_->counters().congested;
        log::warn("relay: {} is congested, {} bytes wait", name_, size);
    }
}

void RelayConnection::drop(std::string_view reason)
{
    if (state_ == State::Dropped) {
        return;
    }

    state_ = State::Dropped;
    reason_ = reason;
    schedule();
}

void RelayConnection::startClosing()
{
    if (state_ == State::Hello) {
        drop("shutting down");

    } else if (state_ == State::Open) {
        state_ = State::Closing;
        schedule();
    }
}

void RelayConnection::flush()
{
    if (owner_ == nullptr) {  // was scheduled again by its own end
        return;
    }
    scheduled_ = false;

    if (state_ == State::Open || state_ == State::Closing) {
        sendReceipt();
    }
    if (state_ != State::Dropped) {
        write();
    }
    if (state_ == State::Dropped) {
        end();
        return;
    }

    if (congested_ && queued() <= owner_->settings().maxQueue / 2) {
        congested_ = false;
        owner_->handler().onDrained(*this);
    }

    if (state_ == State::Closing) {
        finishClosing();
    }
    updateReading();
}

void RelayConnection::sendReceipt()
{
    std::uint64_t count = receipts_->completed();

    if (count != receiptSent_) {
        appendReceipt(&out_, count);
        receiptSent_ = count;
    }
}

void RelayConnection::write()
{
    if (writing_ || shutdown_ || out_.empty()) {
        return;
    }

    uv_buf_t buffer =
        uv_buf_init(out_.data(), static_cast<unsigned>(out_.size()));
    int sent = uv_try_write(stream(), &buffer, 1);

    if (sent == UV_EAGAIN) {
        sent = 0;
    }
    if (sent < 0) {
        drop(uv_strerror(sent));
        return;
    }

    auto done = static_cast<std::size_t>(sent);
    owner_->counters().bytesOut += done;

    if (done == out_.size()) {
        out_.clear();
        if (out_.capacity() > kKeepCapacity) {
            out_.shrink_to_fit();
        }
        return;
    }

    sending_.swap(out_);
    buffer = uv_buf_init(sending_.data() + done,
                         static_cast<unsigned>(sending_.size() - done));

    int error =
        uv_write(&writeRequest_, stream(), &buffer, 1,
                 [](uv_write_t* request, int status) {
                     static_cast<RelayConnection*>(request->handle->data)
                         ->written(status);
                 });

    if (error != 0) {
        drop(uv_strerror(error));
        return;
    }

    owner_->counters().bytesOut += sending_.size() - done;
    writing_ = true;
    lastProgress_ = now();
    lastQueue_ = queued();
}

void RelayConnection::written(int status)
{
    writing_ = false;
    sending_.clear();

    if (sending_.capacity() > kKeepCapacity) {
        sending_.shrink_to_fit();
    }
    if (status < 0 && status != UV_ECANCELED) {
        drop(uv_strerror(status));
    }
    schedule();
}

bool RelayConnection::mayRead() const
{
    const ServerSettings& settings = owner_->settings();

    switch (state_) {
    case State::Hello:
        return true;
    case State::Open:
        return !congested_ && receipts_->pending() < settings.maxTickets &&
               receipts_->pendingBytes() < settings.maxTicketBytes &&
               receipts_->window() < kWindowFactor * settings.maxTickets;
    case State::Closing:
        return shutdown_;
    default:
        return false;
    }
}

void RelayConnection::updateReading()
{
    bool wanted = mayRead();

    if (wanted == reading_) {
        return;
    }

    if (!wanted) {
        uv_read_stop(stream());
        reading_ = false;
        return;
    }

    auto allocate = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        auto* self = static_cast<RelayConnection*>(handle->data);
        *buffer = self->owner_->readBuffer();
    };
    int error = uv_read_start(stream(), allocate, onRead);

    if (error != 0) {
        drop(uv_strerror(error));
        return;
    }
    reading_ = true;
    lastRead_ = now();
}

void RelayConnection::onRead(uv_stream_t* stream, ssize_t size,
                             const uv_buf_t* buffer)
{
    auto* self = static_cast<RelayConnection*>(stream->data);

    if (size == 0 || self->state_ == State::Dropped) {
        return;
    }

    if (size == UV_EOF) {
        self->drop("closed by nginx");
        return;
    }
    if (size < 0) {
        self->drop(uv_strerror(static_cast<int>(size)));
        return;
    }

    self->lastRead_ = self->now();

    if (self->state_ == State::Closing) {
        return;
    }

    // What a handler throws must not travel through libuv's C frames.
    try {
        self->received({buffer->base, static_cast<std::size_t>(size)});

    } catch (const std::exception& error) {
        log::error("relay: {}: {}", self->name_, error.what());
        self->drop("internal error");
    }
}

void RelayConnection::received(std::string_view bytes)
{
    ServerStats& counters = owner_->counters();
    counters.bytesIn += bytes.size();

    Frame frame;
    reader_.feed(bytes);

    while (state_ != State::Dropped &&
           reader_.next(&frame) == Reader::Status::Frame) {
        ++counters.framesIn;
        dispatch(frame);
    }

    if (reader_.error() != Error::None) {
        ++counters.failed;
        drop(errorText(reader_.error()));
    }

    if (reading_ && !mayRead()) {
        schedule();
    }
}

void RelayConnection::dispatch(const Frame& frame)
{
    RelayHandler& handler = owner_->handler();

    switch (frame.kind) {
    case Kind::Hello:
        opened(frame);
        break;
    case Kind::Attach:
        attached(frame);
        break;
    case Kind::Message:
        message(frame);
        break;
    case Kind::Detach:
        handler.onDetach(*this, frame.id, frame.code);
        break;
    case Kind::Written:
        handler.onWritten(*this, frame.id);
        break;
    case Kind::Request:
        requested(frame);
        break;
    case Kind::Ping:
        appendPong(output(), frame.id);
        break;
    default:  // PONG; the reader lets nothing else through
        break;
    }
}

void RelayConnection::opened(const Frame& frame)
{
    Hello hello;

    if (!decode(frame, &hello)) {
        reader_.reject(Error::BadHello);
        return;
    }

    if (!hello.name.empty()) {
        name_ = hello.name;
    }
    state_ = State::Open;
    announced_ = true;
    log::info("relay: {} connected", name_);
    owner_->handler().onOpen(*this);
}

void RelayConnection::attached(const Frame& frame)
{
    Attach attach;

    if (decode(frame, &attach)) {
        owner_->handler().onAttach(*this, frame.id, attach);
    } else {
        reader_.reject(Error::Malformed);
    }
}

void RelayConnection::requested(const Frame& frame)
{
    Request request;

    if (decode(frame, &request)) {
        owner_->handler().onRequest(*this, frame.id, request);
    } else {
        reader_.reject(Error::Malformed);
    }
}

void RelayConnection::message(const Frame& frame)
{
    ++owner_->counters().messages;
    owner_->handler().onMessage(*this, frame.id, frame.payload,
                                frame.has(kBinary),
                                MessageTicket(receipts_, frame.payload.size()));
}

void RelayConnection::checkTimeouts(std::uint64_t now)
{
    const ServerSettings& settings = owner_->settings();
    auto idle = static_cast<std::uint64_t>(settings.idleTimeout.count());
    auto stuck = static_cast<std::uint64_t>(settings.writeTimeout.count());

    if (reading_ && now - lastRead_ > idle) {
        ++owner_->counters().failed;
        drop("silent for too long");
    }

    if (!writing_) {
        return;
    }

    std::size_t queue = uv_stream_get_write_queue_size(stream());

    if (queue != lastQueue_) {
        lastQueue_ = queue;
        lastProgress_ = now;

    } else if (now - lastProgress_ > stuck) {
        ++owner_->counters().failed;
        drop("does not read");
    }
}

// All is written: says so to nginx, and waits for its end of the stream, as a
// socket that is closed with input unread may take unread output with it.
void RelayConnection::finishClosing()
{
    if (shutdown_ || writing_ || !out_.empty() || receipts_->pending() > 0) {
        return;
    }

    shutdown_ = true;
    int error =
        uv_shutdown(&shutdownRequest_, stream(), [](uv_shutdown_t*, int) {});

    if (error != 0) {
        drop(uv_strerror(error));
    }
}

void RelayConnection::end()
{
    ConnectionOwner* owner = owner_;
    scheduled_ = true;  // whatever the handler still sends, this was the end

    if (announced_) {
        log::info("relay: {} disconnected: {}", name_, reason_);
        owner->handler().onClosed(*this);
    } else {
        log::info("relay: connection {} refused: {}", serial_, reason_);
    }
    closeHandle();
    owner->forget(this);
}

void RelayConnection::abandon()
{
    state_ = State::Dropped;
    closeHandle();
}

void RelayConnection::closeHandle()
{
    owner_ = nullptr;
    receipts_->onFinish = nullptr;
    reading_ = false;

    uv_close(reinterpret_cast<uv_handle_t*>(&handle_), [](uv_handle_t* handle) {
        delete static_cast<RelayConnection*>(handle->data);
    });
}

}  // namespace chat::relay
