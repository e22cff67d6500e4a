# What `nginx -t` says of chat_* directives, and how they are inherited.

use Test::Nginx::Socket 'no_plan';

no_shuffle();
run_tests();

__DATA__

=== TEST 1: chat_pass twice
--- config
    location /chat {
        chat_pass unix:/tmp/a.sock; chat_pass unix:/tmp/b.sock;
    }
--- must_die
--- error_log
[emerg]
"chat_pass" directive is duplicate



=== TEST 2: chat_pass with nothing
--- config
    location /chat {
        chat_pass "";
    }
--- must_die
--- error_log
[emerg]
invalid value "" in "chat_pass" directive



=== TEST 3: chat_pass without a path
--- config
    location /chat {
        chat_pass unix:;
    }
--- must_die
--- error_log
[emerg]
no path in the unix domain socket in upstream "unix:"



=== TEST 4: chat_pass with a wrong port
--- config
    location /chat {
        chat_pass 127.0.0.1:99999;
    }
--- must_die
--- error_log
[emerg]
invalid port in upstream "127.0.0.1:99999"



=== TEST 5: chat_pass without a port
--- config
    location /chat {
        chat_pass 127.0.0.1;
    }
--- must_die
--- error_log
[emerg]
no port in upstream "127.0.0.1"



=== TEST 6: chat_pass takes one value
--- config
    location /chat {
        chat_pass a b;
    }
--- must_die
--- error_log
[emerg]
invalid number of arguments in "chat_pass" directive



=== TEST 7: chat_user with a variable that does not exist
--- config
    location /chat {
        chat_user $nobody_knows; chat_pass unix:/tmp/a.sock;
    }
--- must_die
--- error_log
[emerg]
unknown "nobody_knows" variable



=== TEST 8: chat_trust_init is a flag
--- config
    location /chat {
        chat_trust_init maybe;
    }
--- must_die
--- error_log
[emerg]
invalid value "maybe" in "chat_trust_init" directive



=== TEST 9: chat_heartbeat_timeout is a time
--- config
    location /chat {
        chat_heartbeat_timeout soon;
    }
--- must_die
--- error_log
[emerg]
"chat_heartbeat_timeout" directive invalid value



=== TEST 10: chat_heartbeat_timeout is not 0
--- config
    location /chat {
        chat_heartbeat_timeout 0;
    }
--- must_die
--- error_log
[emerg]
"chat_heartbeat_timeout" directive invalid value



=== TEST 11: chat_ping_interval is a time
--- config
    location /chat {
        chat_ping_interval -1s;
    }
--- must_die
--- error_log
[emerg]
"chat_ping_interval" directive invalid value



=== TEST 12: chat_drain_timeout is a time
--- config
    location /chat {
        chat_drain_timeout 1x;
    }
--- must_die
--- error_log
[emerg]
"chat_drain_timeout" directive invalid value



=== TEST 13: chat_max_message is a size
--- config
    location /chat {
        chat_max_message big;
    }
--- must_die
--- error_log
[emerg]
"chat_max_message" directive invalid value



=== TEST 14: chat_max_message is not 0
--- config
    location /chat {
        chat_max_message 0;
    }
--- must_die
--- error_log
[emerg]
value must be between 1 and 33554432



=== TEST 15: chat_max_message fits the relay
--- config
    location /chat {
        chat_max_message 33m;
    }
--- must_die
--- error_log
[emerg]
value must be between 1 and 33554432



=== TEST 16: chat_send_buffer has a lower bound
--- config
    location /chat {
        chat_send_buffer 1023;
    }
--- must_die
--- error_log
[emerg]
value must be between 1024 and 2147483647



=== TEST 17: chat_relay_buffer has a lower bound
--- config
    location /chat {
        chat_relay_buffer 1;
    }
--- must_die
--- error_log
[emerg]
value must be between 1024 and 2147483647



=== TEST 18: chat_relay_timeout is not 0
--- config
    location /chat {
        chat_relay_timeout 0s;
    }
--- must_die
--- error_log
[emerg]
"chat_relay_timeout" directive invalid value



=== TEST 19: chat_relay_connect_timeout is not 0
--- config
    location /chat {
        chat_relay_connect_timeout 0ms;
    }
--- must_die
--- error_log
[emerg]
"chat_relay_connect_timeout" directive invalid value



=== TEST 20: chat_max_fragments is a number
--- config
    location /chat {
        chat_max_fragments many;
    }
--- must_die
--- error_log
[emerg]
"chat_max_fragments" directive invalid number



=== TEST 21: chat_max_user_connections is a number
--- config
    location /chat {
        chat_max_user_connections -1;
    }
--- must_die
--- error_log
[emerg]
"chat_max_user_connections" directive invalid number



=== TEST 22: chat_max_user_connections twice
--- config
    location /chat {
        chat_max_user_connections 1; chat_max_user_connections 2;
    }
--- must_die
--- error_log
[emerg]
"chat_max_user_connections" directive is duplicate



=== TEST 23: chat_max_frame_rate is a rate
--- config
    location /chat {
        chat_max_frame_rate 10;
    }
--- must_die
--- error_log
[emerg]
invalid value "10" in "chat_max_frame_rate" directive



=== TEST 24: chat_max_frame_rate is per second
--- config
    location /chat {
        chat_max_frame_rate 10/m;
    }
--- must_die
--- error_log
[emerg]
invalid value "10/m" in "chat_max_frame_rate" directive



=== TEST 25: chat_limit_log_level is a level
--- config
    location /chat {
        chat_limit_log_level loud;
    }
--- must_die
--- error_log
[emerg]
invalid value "loud"



=== TEST 26: chat_subprotocol is a token
--- config
    location /chat {
        chat_subprotocol "a b";
    }
--- must_die
--- error_log
[emerg]
invalid value "a b" in "chat_subprotocol" directive



=== TEST 27: chat_subprotocol names each once
--- config
    location /chat {
        chat_subprotocol a b a;
    }
--- must_die
--- error_log
[emerg]
duplicate value "a"



=== TEST 28: chat_compression is a flag
--- config
    location /chat {
        chat_compression yes;
    }
--- must_die
--- error_log
[emerg]
invalid value "yes" in "chat_compression" directive



=== TEST 29: chat_compression_level has bounds
--- config
    location /chat {
        chat_compression_level 10;
    }
--- must_die
--- error_log
[emerg]
value must be between 1 and 9



=== TEST 30: chat_compression_window_bits has bounds
--- config
    location /chat {
        chat_compression_window_bits 8;
    }
--- must_die
--- error_log
[emerg]
value must be between 9 and 15



=== TEST 31: chat_compression_window_bits takes two values at most
--- config
    location /chat {
        chat_compression_window_bits 9 9 9;
    }
--- must_die
--- error_log
[emerg]
invalid number of arguments



=== TEST 32: chat_compression_context_takeover is a flag
--- config
    location /chat {
        chat_compression_context_takeover on never;
    }
--- must_die
--- error_log
[emerg]
invalid value "never" in "chat_compression_context_takeover" directive



=== TEST 33: chat_log has two moments
--- config
    location /chat {
        chat_log never;
    }
--- must_die
--- error_log
[emerg]
invalid value "never"



=== TEST 34: chat_status has two formats
--- config
    location /chat {
        chat_status xml;
    }
--- must_die
--- error_log
[emerg]
invalid value "xml" in "chat_status" directive



=== TEST 35: chat_status only in a location
--- http_config
    chat_status;
--- config
    location / { }
--- must_die
--- error_log
[emerg]
"chat_status" directive is not allowed here



=== TEST 36: every directive at every level
--- http_config
    upstream workers {
        server unix:/tmp/nobody.sock;
        server 127.0.0.1:9 backup;
    }
    chat_pass off;
    chat_user $remote_addr;
    chat_trust_init on;
    chat_heartbeat_timeout 30s;
    chat_ping_interval 0;
    chat_drain_timeout 0;
    chat_max_message 1m;
    chat_send_buffer 1m;
    chat_max_fragments 0;
    chat_max_frame_rate 100/s;
    chat_max_user_connections 10;
    chat_limit_log_level info;
    chat_relay_buffer 16m;
    chat_relay_timeout 5s;
    chat_relay_connect_timeout 500ms;
    chat_subprotocol chat.v1 chat.v2;
    chat_compression on;
    chat_compression_min_length 0;
    chat_compression_level 9;
    chat_compression_window_bits 12 10;
    chat_compression_context_takeover on off;
    chat_log close;
--- config
    chat_pass workers;
    chat_max_frame_rate 0;
    chat_compression_window_bits 15;

    location /chat {
        chat_trust_init off;
        chat_log open;
    }
    location = /status {
        chat_status json;
    }
--- request
GET /chat
--- error_code: 426



=== TEST 37: chat_pass is inherited by locations without a handler
--- config
    chat_pass unix:/tmp/nobody.sock;

    location /chat { }
--- request
GET /chat
--- error_code: 426
--- response_headers
Upgrade: websocket
Sec-WebSocket-Version: 13



=== TEST 38: and not by those that have one
--- config
    chat_pass unix:/tmp/nobody.sock;

    location /empty { empty_gif; }
--- request
GET /empty
--- error_code: 200



=== TEST 39: chat_pass off ends it
--- config
    chat_pass unix:/tmp/nobody.sock;

    location /files { chat_pass off; }
--- request
GET /files/none
--- error_code: 404
--- error_log
No such file or directory



=== TEST 40: chat_pass below an if
--- config
    location /chat {
        chat_pass unix:/tmp/nobody.sock;
        if ($args) {
            set $x 1;
        }
    }
--- request
GET /chat?a=b
--- error_code: 426



=== TEST 41: status as Prometheus text
--- config
    location = /status { chat_status; }
--- request
GET /status
--- response_headers
Content-Type: text/plain; version=0.0.4; charset=utf-8
--- response_body_like
# TYPE chat_connections gauge
chat_connections 0



=== TEST 42: status as JSON
--- config
    location = /status { chat_status; }
--- request
GET /status?format=json
--- response_headers
Content-Type: application/json
--- response_body_like
^\{"connections":0,.*"closes":\[.*\],"workers":\{\}\}$



=== TEST 43: status is not posted to
--- config
    location = /status { chat_status; }
--- request
POST /status
--- error_code: 405



=== TEST 44: refused handshakes are counted
--- config
    location /chat { chat_pass unix:/tmp/nobody.sock; }
    location = /status { chat_status; }
--- pipelined_requests eval
["GET /chat", "GET /status"]
--- response_body_like eval
["handshake", "chat_handshakes_refused_total 1\n"]
--- error_code eval
[426, 200]
