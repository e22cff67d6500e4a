# The opening handshake: what is accepted, and the answer to what is not. No
# chat-worker is needed for it.

use Test::Nginx::Socket;

plan tests => 49;

our $config = <<'_EOC_';
    location /chat {
        chat_pass unix:$TEST_NGINX_SERVER_ROOT/html/none.sock;
    }
    location /named {
        chat_pass unix:$TEST_NGINX_SERVER_ROOT/html/none.sock;
        chat_user $arg_user;
    }
    location /trusting {
        chat_pass unix:$TEST_NGINX_SERVER_ROOT/html/none.sock;
        chat_user $arg_user;
        chat_trust_init on;
    }
    location /protocols {
        chat_pass unix:$TEST_NGINX_SERVER_ROOT/html/none.sock;
        chat_subprotocol chat.v2 chat.v1;
    }
    location /denied {
        deny all;
        chat_pass unix:$TEST_NGINX_SERVER_ROOT/html/none.sock;
    }
_EOC_

# A handshake with these fields instead of its own; undef leaves one out. It is
# followed by a close frame, so that the connection ends.
sub handshake {
    my ($path, %other) = @_;
    my %field = (
        'Host' => 'localhost',
        'Upgrade' => 'websocket',
        'Connection' => 'Upgrade',
        'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Version' => '13',
        %other,
    );
    my $method = delete $field{method} || 'GET';
    my $version = delete $field{version} || 'HTTP/1.1';

    return "$method $path $version\r\n"
        . join('', map { "$_: $field{$_}\r\n" }
            grep { defined $field{$_} } sort keys %field)
        . "\r\n\x88\x82\0\0\0\0\x03\xe8";
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: the example of RFC 6455
--- config eval: $::config
--- raw_request eval: ::handshake('/chat')
--- error_code: 101
--- response_headers
Upgrade: websocket
Connection: upgrade
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
! Sec-WebSocket-Protocol
! Sec-WebSocket-Extensions
! Content-Length
--- response_body eval: "\x88\x02\x03\xe8"



=== TEST 2: lists and case in Upgrade and Connection
--- config eval: $::config
--- raw_request eval
::handshake('/chat', Upgrade => 'h2c, WebSocket',
    Connection => 'keep-alive, upgrade')
--- error_code: 101
--- response_body eval: "\x88\x02\x03\xe8"



=== TEST 3: a version that we do not speak
--- config eval: $::config
--- raw_request eval
::handshake('/chat', 'Sec-WebSocket-Version' => 8, Connection => 'Upgrade, close')
--- error_code: 426
--- response_headers
Upgrade: websocket
Sec-WebSocket-Version: 13
! Sec-WebSocket-Accept



=== TEST 4: no key
--- config eval: $::config
--- raw_request eval
::handshake('/chat', 'Sec-WebSocket-Key' => undef)
--- error_code: 400
--- response_headers
! Sec-WebSocket-Accept



=== TEST 5: a key of 15 bytes
--- config eval: $::config
--- raw_request eval
::handshake('/chat', 'Sec-WebSocket-Key' => 'AAAAAAAAAAAAAAAAAAAA')
--- error_code: 400
--- response_headers
! Sec-WebSocket-Accept



=== TEST 6: no version
--- config eval: $::config
--- raw_request eval
::handshake('/chat', 'Sec-WebSocket-Version' => undef)
--- error_code: 400
--- response_headers
! Sec-WebSocket-Accept



=== TEST 7: a plain GET
--- config eval: $::config
--- request
GET /chat
--- error_code: 426
--- response_headers
Upgrade: websocket
! Sec-WebSocket-Accept



=== TEST 8: POST
--- config eval: $::config
--- request
POST /chat
hello
--- error_code: 400
--- response_headers
! Sec-WebSocket-Accept



=== TEST 9: HTTP/1.0
--- config eval: $::config
--- raw_request eval: ::handshake('/chat', version => 'HTTP/1.0')
--- error_code_like: ^(400|426|505)$
--- response_headers
! Sec-WebSocket-Accept



=== TEST 10: a body
--- config eval: $::config
--- raw_request eval: ::handshake('/chat', 'Content-Length' => 8)
--- error_code: 400
--- response_headers
! Sec-WebSocket-Accept



=== TEST 11: a user from nginx
--- config eval: $::config
--- raw_request eval: ::handshake('/named?user=ada')
--- error_code: 101
--- response_body eval: "\x88\x02\x03\xe8"



=== TEST 12: no user where one is wanted
--- config eval: $::config
--- raw_request eval: ::handshake('/named', Connection => 'Upgrade, close')
--- error_code: 403
--- response_headers
! Sec-WebSocket-Accept



=== TEST 13: no user, but it may name itself
--- config eval: $::config
--- raw_request eval: ::handshake('/trusting')
--- error_code: 101
--- response_body eval: "\x88\x02\x03\xe8"



=== TEST 14: the client's first subprotocol that is ours
--- config eval: $::config
--- raw_request eval
::handshake('/protocols',
    'Sec-WebSocket-Protocol' => 'other, chat.v1, chat.v2')
--- error_code: 101
--- response_headers
Sec-WebSocket-Protocol: chat.v1
--- response_body eval: "\x88\x02\x03\xe8"



=== TEST 15: none of our subprotocols
--- config eval: $::config
--- raw_request eval
::handshake('/protocols', 'Sec-WebSocket-Protocol' => 'other')
--- error_code: 101
--- response_headers
! Sec-WebSocket-Protocol
--- response_body eval: "\x88\x02\x03\xe8"



=== TEST 16: compression is off by default
--- config eval: $::config
--- raw_request eval
::handshake('/chat', 'Sec-WebSocket-Extensions' => 'permessage-deflate')
--- error_code: 101
--- response_headers
! Sec-WebSocket-Extensions
--- response_body eval: "\x88\x02\x03\xe8"



=== TEST 17: access phase comes first
--- config eval: $::config
--- raw_request eval: ::handshake('/denied', Connection => 'Upgrade, close')
--- error_code: 403
--- response_headers
! Sec-WebSocket-Accept
--- error_log
access forbidden by rule



=== TEST 18: the request in pieces
--- config eval: $::config
--- raw_request eval
my $all = ::handshake('/chat');
[substr($all, 0, 20), substr($all, 20, 60), substr($all, 80)]
--- raw_request_middle_delay: 0.05
--- error_code: 101
--- response_body eval: "\x88\x02\x03\xe8"
