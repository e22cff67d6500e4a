# nginx in a folder of its own: configuration, start, end, logs.
package Test::Nginx::StandIn::Server;

use strict;
use warnings;

use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Test::More ();
use Time::HiRes qw(sleep time);

# What a line says that no test can mean to happen.
our $REPORT = qr{\bAssertion .*?failed\b|\w+Sanitizer|runtime error:};

sub new {
    my ($class) = @_;
    # In /tmp, because a Unix socket's path has at most 107 bytes.
    my $root = $ENV{TEST_NGINX_SERVROOT}
        || tempdir('servroot_XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $port = $ENV{TEST_NGINX_SERVER_PORT} || free_port();
    $ENV{TEST_NGINX_SERVER_ROOT} = $root;
    $ENV{TEST_NGINX_SERVER_PORT} = $port;

    return bless {
        root => $root,
        html => "$root/html",
        logs => "$root/logs",
        port => $port,
        pid_file => "$root/logs/nginx.pid",
        error_log => "$root/logs/error.log",
        binary => $ENV{TEST_NGINX_BINARY} || 'nginx',
        log_level => $ENV{TEST_NGINX_LOG_LEVEL} || 'debug',
        workers => 1,
        worker_connections => 64,
        # nginx reloads only with a master.
        master => $ENV{TEST_NGINX_USE_HUP} ? 'on'
            : $ENV{TEST_NGINX_MASTER_PROCESS} || 'off',
        root_location => 1,
        use_hup => $ENV{TEST_NGINX_USE_HUP},
        read => 0,
        config => undef,
        owner => $$,
    }, $class;
}

sub free_port {
    my $probe = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1)
        or die "no free port: $!";
    return $probe->sockport;
}

sub start {
    my ($self, $block) = @_;
    return if !defined $block->{config} && defined $self->{config};
    Test::More::BAIL_OUT("$block->{name} - no --- config")
        unless defined $block->{config};
    $self->{config} = $block->{config};

    if ($self->{use_hup} && $self->running) {
        $self->reload($block);
        return;
    }
    my $status = $self->try_start($block);
    Test::More::BAIL_OUT("$block->{name} - cannot start nginx (status "
        . ($status >> 8) . ")\n" . join '', @{$self->error_lines})
        if $status != 0;
}

# Starts nginx and returns the status of the command.
sub try_start {
    my ($self, $block) = @_;
    $self->stop;
    remove_tree("$self->{root}/$_") for qw(html logs conf);
    make_path("$self->{root}/$_") for qw(html logs conf);
    write_file("$self->{html}/index.html", 'It works!');
    $self->write_user_files($block);
    $self->write_config($block);
    $self->{read} = 0;

    my $status = system("$self->{binary} -p $self->{root}/ "
        . "-e $self->{error_log} -c $self->{root}/conf/nginx.conf "
        . ">/dev/null 2>$self->{logs}/stderr.log");
    $self->wait_for_port if $status == 0;
    return $status;
}

sub reload {
    my ($self, $block) = @_;
    $self->write_user_files($block);
    $self->write_config($block);
    kill HUP => $self->pid;
    sleep 0.5;
}

sub wait_for_port {
    my ($self) = @_;
    my $end = time + 10;

    until (IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{port}")) {
        return if time > $end;
        sleep 0.01;
    }
    # The probe's own line must not be looked for by --- no_error_log.
    sleep 0.02;
    $self->error_lines;
}

sub pid {
    my ($self) = @_;
    return read_file($self->{pid_file}) =~ /(\d+)/ ? $1 : undef;
}

sub running {
    my ($self) = @_;
    my $pid = $self->pid;
    return $pid && is_running($pid);
}

# A zombie that its new parent has not buried yet does not count.
sub is_running {
    my ($pid) = @_;
    return kill(0 => $pid) && read_file("/proc/$pid/stat") !~ /.*\) Z/s;
}

# Ends nginx as the real Test::Nginx does, by QUIT, and by TERM and KILL only
# if that is not enough.
sub stop {
    my ($self) = @_;
    my $pid = $self->pid;
    return if !$pid || $self->{owner} != $$;

    for my $step ([QUIT => 5], [TERM => 5], [KILL => 5]) {
        my ($signal, $patience) = @$step;
        kill $signal => $pid;
        my $end = time + $patience;
        while (is_running($pid) && time < $end) {
            sleep 0.01;
        }
        last unless is_running($pid);
        Test::More::diag("nginx did not end by $signal");
    }
    unlink $self->{pid_file};
    Test::More::fail("the end of nginx - $_")
        for grep { /\[alert\]|$REPORT/ } @{$self->error_lines};
}

# Lines that are new since the last call.
sub error_lines {
    my ($self) = @_;
    sleep 0.045;
    open my $in, '<', $self->{error_log} or return [];
    seek $in, $self->{read}, 0;
    my @lines = <$in>;
    $self->{read} = tell $in;
    return \@lines;
}

sub access_lines {
    my ($self) = @_;
    return [split /^/, read_file("$self->{logs}/access.log")];
}

sub write_user_files {
    my ($self, $block) = @_;
    my $files = $block->{user_files} or return;

    if (!ref $files) {
        my ($ignored, @parts) = split /^>>> (\S+).*\n/m, $files;
        my @pairs;
        push @pairs, [splice @parts, 0, 2] while @parts;
        $files = \@pairs;
    }
    for my $file (@$files) {
        my ($name, $body) = @$file;
        my $path = $name =~ m{^/} ? $name : "$self->{html}/$name";
        make_path($path =~ m{(.*)/});
        write_file($path, $self->expand($body // '', $block));
    }
}

# $TEST_NGINX_... from the environment; any other $ is nginx's own.
sub expand {
    my ($self, $text, $block) = @_;
    $text =~ s{\$(TEST_NGINX_[_A-Z0-9]+)}{
        my $name = $1;
        $ENV{$name} = free_port()
            if $name =~ /^TEST_NGINX_RAND_PORT_\d+$/ && !defined $ENV{$name};
        $ENV{$name} // Test::More::BAIL_OUT(
            "$block->{name} - no environment variable $name")
    }ge;
    return $text;
}

sub write_config {
    my ($self, $block) = @_;
    my $level = $block->{log_level} // $self->{log_level};
    my ($main, $http, $config) = map { $self->expand($_ // '', $block) }
        @$block{qw(main_config http_config config)};
    my $modules = join '', map { "load_module $_;\n" }
        split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // '';
    my $user = $> == 0 ? 'user root;' : '';
    my $temp = join '', map { "    ${_}_temp_path $self->{root}/$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi);
    my $location = $self->{root_location} ? <<"END" : '';
        location / {
            root $self->{html};
            index index.html;
        }
END
    write_file("$self->{root}/conf/nginx.conf", <<"END");
worker_processes $self->{workers};
daemon on;
master_process $self->{master};
error_log $self->{error_log} $level;
pid $self->{pid_file};
$user
$modules
$main
http {
    access_log $self->{logs}/access.log;
    default_type text/plain;
    keepalive_timeout 68;
$temp
$http
    server {
        listen $self->{port};
        server_name 'localhost';
        client_max_body_size 30M;
$config
$location
    }
}
events {
    accept_mutex off;
    worker_connections $self->{worker_connections};
}
END
}

sub read_file {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    return scalar <$in> // '';
}

sub write_file {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out or die "$path: $!";
}

1;
