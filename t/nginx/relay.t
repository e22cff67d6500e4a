# The relay protocol (docs/relay-protocol.md): what nginx says first, and what
# it makes of the answers. The worker is a --- tcp_reply: it reads what comes
# first, which is HELLO and the session's ATTACH, answers, and is gone.

use Test::Nginx::Socket;

plan tests => 24;

our $config = <<'_EOC_';
    location /chat {
        chat_pass unix:$TEST_NGINX_SERVER_ROOT/html/worker.sock;
        chat_user $arg_user;
        chat_heartbeat_timeout 7s;
    }
    location /trusting {
        chat_pass unix:$TEST_NGINX_SERVER_ROOT/html/worker.sock;
        chat_trust_init on;
    }
_EOC_

our $socket = server_root() . '/html/worker.sock';

# The client answers the close frame that the worker has asked for.
sub client {
    my ($path) = @_;
    return ["GET $path HTTP/1.1\r\nHost: localhost\r\n"
        . "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        . "Sec-WebSocket-Version: 13\r\n\r\n",
        "\x88\x82\0\0\0\0\x03\xe8"];
}

sub frame {
    my ($kind, $flags, $code, $id, $payload) = @_;
    return pack('VCCvQ<', length $payload, $kind, $flags, $code, $id)
        . $payload;
}

sub hello {
    my ($version) = @_;
    return frame(1, 0, $version || 1, 7, 'CHAT' . pack('V', 1 << 20) . 'test');
}

# [kind, flags, code, id, payload] of each frame.
sub frames {
    my ($bytes) = @_;
    my @frames;
    while (length $bytes >= 16) {
        my ($length, @head) = unpack 'VCCvQ<', $bytes;
        push @frames, [@head, substr $bytes, 16, $length];
        substr($bytes, 0, 16 + $length) = '';
    }
    return @frames;
}

# HELLO, then what the code makes of nginx's HELLO and ATTACH, then CLOSE.
sub worker {
    my ($code) = @_;
    return sub {
        my ($hello, $attach) = frames(shift);
        return hello() . $code->($hello, $attach)
            . frame(7, 0, 1000, $attach->[3], 'bye');
    };
}

# The text frame, and the close frame that ends each of these.
sub answer {
    my ($text) = @_;
    return "\x81" . chr(length $text) . "$text\x88\x05\x03\xe8bye";
}

no_long_string();
run_tests();

__DATA__

=== TEST 1: HELLO
--- config eval: $::config
--- raw_request eval: ::client('/chat?user=ada')
--- raw_request_middle_delay: 0.3
--- tcp_listen eval: $::socket
--- tcp_reply eval
::worker(sub {
    my ($hello, $attach) = @_;
    my ($magic, $bound) = unpack 'a4V', $hello->[4];
    ::frame(5, 0, 0, $attach->[3], "$hello->[0] $hello->[1] $hello->[2] $magic "
        . ($bound >= 1 << 20 ? 'enough' : $bound)
        . ($hello->[3] ? ' instance' : ' no instance'));
})
--- error_code: 101
--- response_body eval: ::answer('1 0 1 CHAT enough instance')



=== TEST 2: ATTACH with a user
--- config eval: $::config
--- raw_request eval: ::client('/chat?user=ada')
--- raw_request_middle_delay: 0.3
--- tcp_listen eval: $::socket
--- tcp_reply eval
::worker(sub {
    my ($hello, $attach) = @_;
    my ($mark, $timeout, $user, $address) = unpack 'Q<Vvv', $attach->[4];
    ::frame(5, 0, 0, $attach->[3], "$attach->[0] $attach->[1] $attach->[2] "
        . "$mark $timeout $user $address " . substr $attach->[4], 16);
})
--- error_code: 101
--- response_body eval: ::answer('2 0 0 0 7000 3 9 ada127.0.0.1')



=== TEST 3: ATTACH of a session that may name itself
--- config eval: $::config
--- raw_request eval: ::client('/trusting')
--- raw_request_middle_delay: 0.3
--- tcp_listen eval: $::socket
--- tcp_reply eval
::worker(sub {
    my ($hello, $attach) = @_;
    ::frame(5, 0, 0, $attach->[3],
        "$attach->[1] " . unpack 'x12v', $attach->[4]);
})
--- error_code: 101
--- response_body eval: ::answer('1 0')



=== TEST 4: SEND with a mark
--- config eval: $::config
--- raw_request eval: ::client('/chat?user=ada')
--- raw_request_middle_delay: 0.3
--- tcp_listen eval: $::socket
--- tcp_reply eval
::worker(sub { ::frame(5, 4, 0, $_[1][3], pack('Q<', 17) . 'marked') })
--- error_code: 101
--- response_body eval: ::answer('marked')



=== TEST 5: binary SEND
--- config eval: $::config
--- raw_request eval: ::client('/chat?user=ada')
--- raw_request_middle_delay: 0.3
--- tcp_listen eval: $::socket
--- tcp_reply eval
::worker(sub { ::frame(5, 1, 0, $_[1][3], "\x00\xff") })
--- error_code: 101
--- response_body eval: "\x82\x02\x00\xff\x88\x05\x03\xe8bye"



=== TEST 6: FANOUT with two holes
--- config eval: $::config
--- raw_request eval: ::client('/chat?user=ada')
--- raw_request_middle_delay: 0.3
--- tcp_listen eval: $::socket
--- tcp_reply eval
::worker(sub {
    my $body = '{"":{"to":}}';
    ::frame(6, 0, 0, 0, pack('VVvvVV', length $body, 1, 2, 0, 2, 10) . $body
        . pack('Q<vvvQ<', 17, 1, 4, 5, $_[1][3]) . '17-a' . '"ada"');
})
--- error_code: 101
--- response_body eval: ::answer('{"17-a":{"to":"ada"}}')



=== TEST 7: sessions that do not exist
--- config eval: $::config
--- raw_request eval: ::client('/chat?user=ada')
--- raw_request_middle_delay: 0.3
--- tcp_listen eval: $::socket
--- tcp_reply eval
::worker(sub {
    my $id = $_[1][3];
    ::frame(5, 0, 0, $id + 1, 'nobody') . ::frame(7, 0, 1000, $id ^ 1 << 32, '')
        . ::frame(5, 0, 0, $id, 'me');
})
--- error_code: 101
--- response_body eval: ::answer('me')
--- no_error_log
[crit]



=== TEST 8: another version is refused, the session stays
--- config eval: $::config
--- raw_request eval: ::client('/chat?user=ada')
--- raw_request_middle_delay: 0.3
--- tcp_listen eval: $::socket
--- tcp_reply eval: ::hello(2)
--- error_code: 101
--- response_body eval: "\x88\x02\x03\xe8"
--- error_log
unsupported protocol version



=== TEST 9: garbage is refused, the session stays
--- config eval: $::config
--- raw_request eval: ::client('/chat?user=ada')
--- raw_request_middle_delay: 0.3
--- tcp_listen eval: $::socket
--- tcp_reply eval: "HTTP/1.1 400 Bad Request\r\n\r\n"
--- error_code: 101
--- response_body eval: "\x88\x02\x03\xe8"
--- error_log
unknown kind of frame



=== TEST 10: a FANOUT is taken whole or not at all
--- config eval: $::config
--- raw_request eval: ::client('/chat?user=ada')
--- raw_request_middle_delay: 0.3
--- tcp_listen eval: $::socket
--- tcp_reply eval
sub {
    my ($hello, $attach) = ::frames(shift);
    ::hello() . ::frame(6, 0, 0, 0, pack('VVvv', 4, 2, 0, 0) . 'body'
        . pack('Q<vQ<', 17, 1, $attach->[3]) . pack('Q<vQ<', 17, 2, 0));
}
--- error_code: 101
--- response_body eval: "\x88\x02\x03\xe8"
--- error_log
malformed
