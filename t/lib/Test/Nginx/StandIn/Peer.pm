# --- tcp_listen: a server of one connection. It reads as much as tcp_query
# has (or tcp_query_len says; without either whatever comes first), then
# answers tcp_reply and closes; with tcp_no_close it stays.
package Test::Nginx::StandIn::Peer;

use strict;
use warnings;

use File::Temp qw(tempfile);
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOCK_STREAM);
use Test::More ();
use Time::HiRes qw(sleep time);

sub new {
    my ($class, $block) = @_;
    my $target = $block->{tcp_listen};
    my $listener;

    if ($target =~ /^\d+$/) {
        $listener = IO::Socket::INET->new(LocalHost => '127.0.0.1',
            LocalPort => $target, Listen => 5, Reuse => 1);
    }
    elsif ($target =~ /\.sock$/) {
        unlink $target;
        $listener = IO::Socket::UNIX->new(
            Local => $target, Type => SOCK_STREAM, Listen => 5);
    }
    Test::More::BAIL_OUT("$block->{name} - cannot listen on $target: $!")
        unless $listener;

    my (undef, $file) = tempfile('tcp_query_XXXXXX', TMPDIR => 1);
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        eval { serve($listener, $block, $file) };
        warn $@ if $@;
        POSIX::_exit(0);
    }
    return bless {pid => $pid, file => $file}, $class;
}

sub serve {
    my ($listener, $block, $file) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $client = $listener->accept or die "accept: $!";
    my $query = '';

    my $wanted = $block->{tcp_query_len} // length($block->{tcp_query} // '');
    while (sysread $client, $query, 4096, length $query) {
        Test::Nginx::StandIn::Server::write_file($file, $query);
        last if length $query >= $wanted;
    }

    my $delay = $block->{tcp_reply_delay};
    sleep(Test::Nginx::Socket::seconds($delay)) if defined $delay;

    my $reply = $block->{tcp_reply};
    $reply = $reply->($query) if ref $reply eq 'CODE';
    if (defined $reply) {
        syswrite $client, $_ for ref $reply ? @$reply : $reply;
    }
    sleep 1 while defined $block->{tcp_no_close};
}

# Ends the server and compares what it has read.
sub check {
    my ($self, $block) = @_;
    my $got = sub { Test::Nginx::StandIn::Server::read_file($self->{file}) };

    if (defined $block->{tcp_query}) {
        my $wanted = $block->{tcp_query};
        my $end = time + 1;
        sleep 0.01 while length $got->() < length $wanted && time < $end;
        Test::Nginx::Socket::same_bytes($got->(), $wanted,
            "$block->{name} - tcp_query ok") unless ref $wanted;
        Test::More::like($got->(), $wanted, "$block->{name} - tcp_query ok")
            if ref $wanted;
    }
    if (defined $block->{tcp_query_len}) {
        Test::More::is(length $got->(), $block->{tcp_query_len},
            "$block->{name} - TCP query length ok");
    }
    $self->stop;
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill KILL => $pid;
    waitpid $pid, 0;
    unlink $self->{file};
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    $self->stop;
}

1;
