# Frames that nginx deals with itself, as raw bytes. All are masked with zeros,
# so that they can be read.

use Test::Nginx::Socket;

plan tests => 44;

our $config = <<'_EOC_';
    location /chat {
        chat_pass unix:$TEST_NGINX_SERVER_ROOT/html/none.sock;
        chat_max_message 1000;
    }
_EOC_

our $handshake = "GET /chat HTTP/1.1\r\nHost: localhost\r\n"
    . "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    . "Sec-WebSocket-Version: 13\r\n\r\n";

our $close = "\x88\x82\0\0\0\0\x03\xe8";

no_long_string();
run_tests();

__DATA__

=== TEST 1: ping
--- config eval: $::config
--- raw_request eval
$::handshake . "\x89\x85\0\0\0\0hello\x89\x80\0\0\0\0" . $::close
--- error_code: 101
--- response_body eval: "\x8a\x05hello\x8a\x00\x88\x02\x03\xe8"



=== TEST 2: text ping
--- config eval: $::config
--- raw_request eval
$::handshake . "\x81\x84\0\0\0\0ping" . $::close
--- error_code: 101
--- response_body eval: "\x81\x04pong\x88\x02\x03\xe8"



=== TEST 3: text ping in fragments, with a ping between
--- config eval: $::config
--- raw_request eval
$::handshake . "\x01\x82\0\0\0\0pi\x89\x81\0\0\0\0x\x80\x82\0\0\0\0ng"
    . $::close
--- error_code: 101
--- response_body eval: "\x8a\x01x\x81\x04pong\x88\x02\x03\xe8"



=== TEST 4: a frame in pieces
--- config eval: $::config
--- raw_request eval
[$::handshake . "\x81", "\x84\0\0", "\0\0pi", "ng", $::close]
--- raw_request_middle_delay: 0.05
--- error_code: 101
--- response_body eval: "\x81\x04pong\x88\x02\x03\xe8"



=== TEST 5: masks
--- config eval: $::config
--- raw_request eval
$::handshake . "\x81\x84\x01\x02\x03\x04qkmc" . $::close
--- error_code: 101
--- response_body eval: "\x81\x04pong\x88\x02\x03\xe8"



=== TEST 6: no mask
--- config eval: $::config
--- raw_request eval: $::handshake . "\x81\x04ping"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xea[ -~]*\z/s



=== TEST 7: reserved bit
--- config eval: $::config
--- raw_request eval: $::handshake . "\xc1\x84\0\0\0\0ping"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xea[ -~]*\z/s



=== TEST 8: reserved opcode
--- config eval: $::config
--- raw_request eval: $::handshake . "\x83\x80\0\0\0\0"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xea[ -~]*\z/s



=== TEST 9: fragmented ping
--- config eval: $::config
--- raw_request eval: $::handshake . "\x09\x80\0\0\0\0"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xea[ -~]*\z/s



=== TEST 10: ping of 126 bytes
--- config eval: $::config
--- raw_request eval
$::handshake . "\x89\xfe\x00\x7e\0\0\0\0" . "x" x 126
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xea[ -~]*\z/s



=== TEST 11: a length that is not minimal
--- config eval: $::config
--- raw_request eval
$::handshake . "\x81\xfe\x00\x04\0\0\0\0ping"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xea[ -~]*\z/s



=== TEST 12: top bit of the length
--- config eval: $::config
--- raw_request eval
$::handshake . "\x81\xff\x80\0\0\0\0\0\0\x05"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xea[ -~]*\z/s



=== TEST 13: continuation of nothing
--- config eval: $::config
--- raw_request eval: $::handshake . "\x80\x84\0\0\0\0ping"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xea[ -~]*\z/s



=== TEST 14: not UTF-8, at its first byte
--- config eval: $::config
--- raw_request eval: $::handshake . "\x81\x90\0\0\0\0ok\xff"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xef[ -~]*\z/s



=== TEST 15: a message over the limit, by its header alone
--- config eval: $::config
--- raw_request eval: $::handshake . "\x82\xfe\x03\xe9\0\0\0\0"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xf1[ -~]*\z/s



=== TEST 16: close without a code
--- config eval: $::config
--- raw_request eval: $::handshake . "\x88\x80\0\0\0\0"
--- error_code: 101
--- response_body eval: "\x88\x00"



=== TEST 17: close with a code that must not be sent
--- config eval: $::config
--- raw_request eval: $::handshake . "\x88\x82\0\0\0\0\x03\xee"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xea[ -~]*\z/s



=== TEST 18: close with a reason that is not UTF-8
--- config eval: $::config
--- raw_request eval: $::handshake . "\x88\x83\0\0\0\0\x03\xe8\xff"
--- error_code: 101
--- response_body_like eval: qr/\A\x88.\x03\xef[ -~]*\z/s



=== TEST 19: what comes after close is ignored
--- config eval: $::config
--- raw_request eval
$::handshake . $::close . "\x89\x81\0\0\0\0x\x83\x80\0\0\0\0"
--- error_code: 101
--- response_body eval: "\x88\x02\x03\xe8"



=== TEST 20: the client shuts its side
--- config eval: $::config
--- raw_request eval: $::handshake . "\x89\x81\0\0\0\0x"
--- shutdown: 1
--- error_code: 101
--- response_body_like eval: qr/\A\x8a\x01x/
--- no_error_log
[crit]



=== TEST 21: faults of clients are no errors
--- config eval: $::config
--- raw_request eval: $::handshake . "\x81\x04ping"
--- error_code: 101
--- log_level: info
--- error_log
frame not masked
--- no_error_log
[warn]
