# Requests from the sections, sent over one connection each, and responses.
package Test::Nginx::StandIn::Client;

use strict;
use warnings;

use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use IO::Select;
use IO::Socket::INET;
use Test::More ();
use Time::HiRes qw(sleep);

# A list of requests; each is a list of {value, delay_before}.
sub requests {
    my ($block) = @_;

    if (defined(my $raw = $block->{raw_request})) {
        return [map { {value => $_} } ref $raw ? @$raw : $raw];
    }
    if (my $list = $block->{pipelined_requests}) {
        my $all = '';
        for my $i (0 .. $#$list) {
            $all .= join '', map { $_->{value} } @{build($block, $list->[$i],
                $i, $i == $#$list ? 'close' : 'keep-alive')};
        }
        return [{value => $all}];
    }
    my $request = $block->{request};
    Test::More::BAIL_OUT("$block->{name} - no request")
        unless defined $request;
    return build($block, $request, 0, 'close') unless ref $request;
    return map { build($block, $request->[$_], $_, 'close') } 0 .. $#$request;
}

# "GET /path" with an optional version, and the body below it.
sub build {
    my ($block, $text, $index, $connection) = @_;
    Test::More::BAIL_OUT("$block->{name} - a request in packets needs "
        . "--- raw_request here") if ref $text;
    $text =~ s/^\s*(?:#[^\n]*\s+)*//;
    my ($line, $body) = split /\n/, $text, 2;
    my ($method, $url, $version) = split ' ', $line;
    $url //= '/';
    $version //= 'HTTP/1.1';
    $body //= '';

    my $more = $block->{more_headers} // '';
    $more = $more->[$index] if ref $more;
    my @more = grep { /\S/ && !/^\s*#/ } split /\r?\n/, $more;
    my @fields;
    push @fields, 'Host: localhost' unless grep { /^Host:/i } @more;
    push @fields, "Connection: $connection"
        unless grep { /^Connection:/i } @more;
    push @fields, @more;

    my $chunked = grep { /^Transfer-Encoding:\s*chunked/i } @more;
    if (length $body && !$chunked) {
        $body =~ s/^\s+|\s+$//g;
        push @fields, 'Content-Length: ' . length $body
            unless grep { /^Content-Length:/i } @more;
    }
    return [{value => join("\r\n", "$method $url $version", @fields, '', '')
        . $body}];
}

# Sends the pieces and reads until the server closes. Returns what came, and
# what went wrong: no end within the timeout, unless --- abort allows that.
sub send_request {
    my ($port, $pieces, $block, $timeout) = @_;
    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => $timeout)
        or return ('', "cannot connect: $!");
    $socket->blocking(0);

    my @left = map { {%$_} } @$pieces;
    my $received = '';
    my $first = 1;

    while (@left) {
        my $piece = shift @left;
        my $delay = $piece->{delay_before}
            // ($first ? 0 : $block->{raw_request_middle_delay} // 0);
        $first = 0;
        sleep $delay if $delay;
        my $open = write_all($socket, $piece->{value}, \$received, $timeout);
        return ($received, undef) unless $open;
    }
    if (defined(my $how = $block->{shutdown})) {
        shutdown $socket, $how =~ /\d/ ? $how : 1;
    }

    my $select = IO::Select->new($socket);
    while ($select->can_read($timeout)) {
        return ($received, undef) unless read_some($socket, \$received);
    }
    return ($received, defined $block->{abort}
        ? undef : 'ERROR: client socket timed out');
}

sub write_all {
    my ($socket, $bytes, $received, $timeout) = @_;
    my $select = IO::Select->new($socket);
    local $SIG{PIPE} = 'IGNORE';

    while (length $bytes) {
        my ($readable, $writable) =
            IO::Select->select($select, $select, undef, $timeout);
        return 0 unless $readable || $writable;
        return 0 if @$readable && !read_some($socket, $received);
        next unless @$writable;

        my $done = syswrite $socket, $bytes;
        if (defined $done) {
            substr($bytes, 0, $done) = '';
        }
        elsif (!again()) {
            read_some($socket, $received);
            return 0;
        }
    }
    return 1;
}

# False at the end of the connection.
sub read_some {
    my ($socket, $received) = @_;
    my $size = sysread $socket, $$received, 65536, length $$received;
    return defined $size ? $size > 0 : again();
}

sub again { return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR }

# Returns {code, head, headers, body}, and the bytes after it. The body of a
# 101 is all that followed.
sub parse_response {
    my ($bytes) = @_;
    my ($head, $rest) = $bytes =~ /\A(.*?\r\n)\r\n(.*)\z/s
        ? ($1, $2) : ('', $bytes);
    my ($code) = $head =~ m{\AHTTP/[\d.]+ (\d+)};
    my %headers;

    for my $line (split /\r\n/, $head) {
        my ($name, $value) = $line =~ /^([^:\s]+):\s*(.*?)\s*$/ or next;
        $headers{lc $name} = exists $headers{lc $name}
            ? "$headers{lc $name}, $value" : $value;
    }
    my ($body, $left) = ($rest, '');
    if (($code // 0) != 101 && ($code // 0) != 304) {
        if (($headers{'transfer-encoding'} // '') eq 'chunked') {
            ($body, $left) = unchunked($rest);
        }
        elsif (defined(my $size = $headers{'content-length'})) {
            $body = substr $rest, 0, $size;
            $left = length $rest > $size ? substr $rest, $size : '';
        }
    }
    return ({code => $code // '', head => $head, headers => \%headers,
        body => $body}, $left);
}

sub unchunked {
    my ($bytes) = @_;
    my $body = '';

    while ($bytes =~ s/\A([0-9A-Fa-f]+)[^\r\n]*\r\n//) {
        my $size = hex $1;
        if ($size == 0) {
            $bytes =~ s/\A\r\n//;
            return ($body, $bytes);
        }
        $body .= substr $bytes, 0, $size, '';
        $bytes =~ s/\A\r\n// or last;
    }
    Test::More::fail('invalid chunked body');
    return ($body, '');
}

1;
