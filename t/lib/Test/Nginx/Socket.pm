# A stand-in for Test::Nginx::Socket, for machines on which the real one
# (https://github.com/openresty/test-nginx) cannot be installed. It has the
# functions and sections that t/nginx/*.t use, and nothing else, with the same
# meaning; whatever it does not know is an error. Three things differ:
#
# * every run has a server root and a port of its own, so that runs may go on
#   side by side; TEST_NGINX_SERVROOT and TEST_NGINX_SERVER_PORT choose them;
# * an [alert], [crit] or [emerg] in error.log that no section mentions fails
#   the test, instead of being a warning;
# * blocks run in their order.
package Test::Nginx::Socket;

use v5.10.1;
use strict;
use warnings;

use Test::More ();
use Time::HiRes qw(sleep);

use Test::Nginx::StandIn::Client;
use Test::Nginx::StandIn::Peer;
use Test::Nginx::StandIn::Server;
use Test::Nginx::StandIn::Spec;

my @EXPORT = qw(plan run_tests repeat_each blocks no_shuffle no_long_string
    no_root_location log_level timeout workers master_on worker_connections
    server_root html_dir server_port add_cleanup_handler use_hup);

my %SECTIONS = map { $_ => 1 } qw(name config http_config main_config
    user_files init log_level must_die SKIP ONLY LAST
    request raw_request raw_request_middle_delay more_headers
    pipelined_requests timeout abort shutdown wait ignore_response
    error_code error_code_like response_headers response_headers_like
    raw_response_headers_like response_body response_body_like
    error_log no_error_log access_log no_access_log
    tcp_listen tcp_query tcp_query_len tcp_reply tcp_reply_delay
    tcp_no_close);

my $server = Test::Nginx::StandIn::Server->new;
my $repeat_each = 1;
my $default_timeout = $ENV{TEST_NGINX_TIMEOUT} || 3;
my @cleanup;
my $blocks;

sub import {
    my ($class, @arguments) = @_;
    my $package = caller;

    strict->import;
    warnings->import;
    {
        no strict 'refs';
        *{"${package}::$_"} = \&{$_} for @EXPORT;
    }
    eval "package $package; Test::More->import; 1" or die $@;
    plan(@arguments) if @arguments;
}

sub plan {
    Test::More::plan(@_);
}

sub repeat_each {
    $repeat_each = shift if @_;
    return $repeat_each;
}

sub blocks {
    $blocks ||= [Test::Nginx::StandIn::Spec::read_blocks()];
    return @$blocks;
}

sub timeout {
    $default_timeout = shift if @_;
    return $default_timeout;
}

sub no_shuffle {}
sub no_long_string {}
sub use_hup { $server->{use_hup} = 1; $server->{master} = 'on' }
sub no_root_location { $server->{root_location} = 0 }
sub log_level { $server->{log_level} = shift }
sub workers { $server->{workers} = shift }
sub master_on { $server->{master} = 'on' }
sub worker_connections { $server->{worker_connections} = shift }
sub server_root { return $server->{root} }
sub html_dir { return $server->{html} }
sub server_port { return $server->{port} }
sub add_cleanup_handler { unshift @cleanup, shift }

sub run_tests {
    my @chosen = grep { !defined $_->{SKIP} } blocks();
    if (my @only = grep { defined $_->{ONLY} } @chosen) {
        Test::More::diag("--- ONLY is set: only these blocks run");
        @chosen = @only;
    }
    for my $block (@chosen) {
        check_sections($block);
        run_block($block);
        last if defined $block->{LAST};
    }
    $_->() for @cleanup;
    $server->stop;
    @cleanup = ();
}

sub check_sections {
    my ($block) = @_;
    for my $section (keys %$block) {
        Test::More::BAIL_OUT("$block->{name}: no section --- $section")
            unless $SECTIONS{$section};
    }
}

sub run_block {
    my ($block) = @_;
    my $name = $block->{name};

    if (defined $block->{must_die}) {
        my $status = $server->try_start($block);
        Test::More::isnt($status, 0, "$name - die as expected");
        check_error_log($block, $server->error_lines);
        return;
    }

    $server->start($block);
    if ($block->{init}) {
        eval "package main; no strict; $block->{init}";
        Test::More::BAIL_OUT("$name - init failed: $@") if $@;
    }
    for (1 .. $repeat_each) {
        my $peer = defined $block->{tcp_listen}
            && Test::Nginx::StandIn::Peer->new($block);
        run_requests($block);
        $peer->check($block) if $peer;
    }
}

sub run_requests {
    my ($block) = @_;
    my @requests = Test::Nginx::StandIn::Client::requests($block);
    my $count = $block->{pipelined_requests}
        ? scalar @{$block->{pipelined_requests}} : scalar @requests;
    my $index = 0;

    for my $request (@requests) {
        my ($bytes, $error) = Test::Nginx::StandIn::Client::send_request(
            $server->{port}, $request, $block,
            seconds($block->{timeout}) // timeout());
        Test::More::fail("$block->{name} - $error") if $error;

        my $responses = $block->{pipelined_requests} ? $count : 1;
        while ($responses-- > 0) {
            (my $response, $bytes)
                = Test::Nginx::StandIn::Client::parse_response($bytes);
            check_response($block, $response, $index++, $count > 1)
                unless defined $block->{ignore_response};
        }
    }
    sleep $block->{wait} if $block->{wait};
    check_error_log($block, $server->error_lines);
    check_lines($block, 'access_log', $server->access_lines)
        unless defined $block->{ignore_response};
}

# "100ms", "2s" or "2" in seconds.
sub seconds {
    my ($text) = @_;
    return undef unless defined $text;
    return $text =~ /^([\d.]+)ms$/ ? $1 / 1000
        : $text =~ /^([\d.]+)s?$/ ? $1
        : Test::More::BAIL_OUT("bad time: $text");
}

# The value of a section for the request with that index.
sub expected {
    my ($block, $section, $index, $many) = @_;
    my $value = $block->{$section};
    return $value->[$index] if ref $value eq 'ARRAY';
    Test::More::BAIL_OUT("$block->{name}: --- $section must be an array, "
        . "one element for each request") if $many;
    return $value;
}

sub check_response {
    my ($block, $response, $index, $many) = @_;
    my $name = $block->{name};
    my $value = sub { expected($block, shift, $index, $many) };

    if (defined $block->{error_code_like}) {
        my $pattern = $value->('error_code_like');
        Test::More::like($response->{code}, qr/$pattern/sm,
            "$name - status code ok");
    }
    else {
        my $code = defined $block->{error_code}
            ? $value->('error_code') : 200;
        Test::More::is($response->{code}, $code, "$name - status code ok");
    }
    if (defined $block->{raw_response_headers_like}) {
        my $pattern = $value->('raw_response_headers_like');
        Test::More::like($response->{head}, qr/$pattern/s,
            "$name - raw resp headers like");
    }
    check_headers($name, $response, $value->('response_headers'), 0)
        if defined $block->{response_headers};
    check_headers($name, $response, $value->('response_headers_like'), 1)
        if defined $block->{response_headers_like}
        && !defined $block->{response_headers};
    check_body($block, $response->{body}, $value);
}

sub check_headers {
    my ($name, $response, $lines, $like) = @_;
    for my $line (grep { /\S/ } split /\n/, $lines) {
        $line =~ s/^\s+|\s+$//g;
        if ($line =~ s/^!\s*//) {
            Test::More::unlike($response->{head}, qr/^\s*\Q$line\E\s*:/mi,
                "$name - header $line not present in the raw headers");
            next;
        }
        my ($key, $wanted) = split /\s*:\s*/, $line, 2;
        my $actual = $response->{headers}{lc $key} // '';
        $wanted =~ s/\$ServerPort\b/$server->{port}/g;
        if ($like) {
            Test::More::like($actual, qr/^$wanted$/, "$name - header $key");
        }
        else {
            Test::More::is($actual, $wanted, "$name - header $key ok");
        }
    }
}

sub check_body {
    my ($block, $body, $value) = @_;
    my $name = $block->{name};

    if (defined $block->{response_body}) {
        my $wanted = $value->('response_body');
        if (ref $wanted) {
            Test::More::like($body, $wanted, "$name - response_body");
        }
        else {
            $wanted =~ s/\$ServerPort\b/$server->{port}/g;
            same_bytes($body, $wanted, "$name - response_body");
        }
    }
    elsif (defined $block->{response_body_like}) {
        my $pattern = $value->('response_body_like');
        Test::More::like($body, qr/$pattern/s, "$name - response_body_like");
    }
}

# Like is(), with control characters made visible when it fails.
sub same_bytes {
    my ($got, $wanted, $name) = @_;
    return Test::More::pass($name) if $got eq $wanted;
    return Test::More::is(map({ visible($_) } $got, $wanted), $name);
}

sub visible {
    my ($bytes) = @_;
    $bytes =~ s/([^\n\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;
    return $bytes;
}

sub check_error_log {
    my ($block, $lines) = @_;

    check_lines($block, 'error_log', $lines);

    for my $level (qw(alert crit emerg)) {
        next if mentions($block->{error_log}, "[$level")
            || mentions($block->{no_error_log}, "[$level");
        Test::More::fail("$block->{name} - $_")
            for grep { /\[$level\]/ } @$lines;
    }
    Test::More::fail("$block->{name} - $_")
        for grep { /$Test::Nginx::StandIn::Server::REPORT/ } @$lines;
}

# --- error_log and --- no_error_log, or the same of the access log: each
# line of the section is one pattern and one test.
sub check_lines {
    my ($block, $section, $lines) = @_;

    for my $pattern (patterns($block->{$section})) {
        Test::More::ok(scalar(grep { matches($_, $pattern) } @$lines),
            "$block->{name} - pattern \"$pattern\" matches a line in "
            . "$section") or Test::More::diag(grep { !/\[debug\]/ } @$lines);
    }
    for my $pattern (patterns($block->{"no_$section"})) {
        my ($line) = grep { matches($_, $pattern) } @$lines;
        Test::More::ok(!defined $line, "$block->{name} - pattern "
            . "\"$pattern\" matches no line in $section")
            or Test::More::diag($line);
    }
}

sub patterns {
    my ($section) = @_;
    return () unless defined $section;
    return ref $section eq 'ARRAY' ? @$section
        : ref $section ? $section : grep { length } split /\n+/, $section;
}

sub matches {
    my ($line, $pattern) = @_;
    return ref $pattern ? $line =~ $pattern : index($line, $pattern) >= 0;
}

sub mentions {
    my ($section, $text) = @_;
    return grep { index($_, $text) >= 0 } patterns($section);
}

END {
    local $?;
    $_->() for @cleanup;
    $server->stop if $server;
}

1;
