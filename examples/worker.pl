#!/usr/bin/perl
# A worker in another language, written from docs/PROTOCOL.md: the workloads `null` and `http-get` under closed and open load,
# one session. Perl and its core modules are all that it needs:
#
#   photofinish run http-get --runtimes sync --lane 'perl examples/worker.pl'
use strict;
use warnings;
use Compress::Zlib qw(compress);
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(clock_gettime setitimer CLOCK_MONOTONIC ITIMER_REAL);

my $FIRST_WARMUP_OP = 1 << 48;
my $LONGEST_NS = 60_000_000_000;
my $json = JSON::PP->new->canonical;
$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = 'IGNORE';

sub now_ns { return int(clock_gettime(CLOCK_MONOTONIC) * 1e9) }

# HdrHistogram's buckets of three significant digits, from 1 ns to 60 s.
sub record {
    my ($counts, $ns) = @_;
    $ns = 1 if $ns < 1;
    $ns = $LONGEST_NS if $ns > $LONGEST_NS;
    my $shift = 0;
    $shift++ while ($ns >> $shift) >= 2048;
    $counts->[($shift << 10) + ($ns >> $shift)]++;
}

sub zigzag {
    my ($value) = @_;
    $value = $value < 0 ? -2 * $value - 1 : 2 * $value;
    my $bytes = '';
    while ($value >= 0x80) {
        $bytes .= chr($value & 0x7F | 0x80);
        $value >>= 7;
    }
    return $bytes . chr($value);
}

sub encoded {
    my ($counts) = @_;
    my ($payload, $zeros) = ('', 0);
    for my $count (@$counts) {
        if (!$count) { $zeros++; next }
        if ($zeros) { $payload .= zigzag(-$zeros); $zeros = 0 }
        $payload .= zigzag($count);
    }
    my $head = pack('NNNNQ>Q>d>', 0x1C849313, length $payload, 0, 3, 1, $LONGEST_NS, 1.0);
    my $packed = compress($head . $payload);
    return encode_base64(pack('NN', 0x1C849314, length $packed) . $packed, '');
}

# Records the end of an operation.
sub ended {
    my ($phase, $failure, $ns) = @_;
    if (defined $failure) {
        my $known = $phase->{errors}{$failure->[0]} //= { count => 0, example => $failure->[1], counts => [] };
        $known->{count}++;
        record($known->{counts}, $ns);
    } else {
        $phase->{ops}++;
        record($phase->{counts}, $ns);
    }
}

# Runs one operation after another until the phase's end, by time or by count.
sub phase {
    my ($stop, $first_op, $operate) = @_;
    my %phase = (ops => 0, counts => [], errors => {});
    my $op = $first_op;
    my $begun = now_ns();
    my $until = defined $stop->{duration_ns} ? $begun + $stop->{duration_ns} : undef;
    while (1) {
        my $start = now_ns();
        my $failure = $operate->($op);
        my $end = now_ns();
        ended(\%phase, $failure, $end - $start);
        $op++;
        $phase{elapsed} = $end - $begun;
        last if defined $until ? $end >= $until : $op - $first_op >= $stop->{ops};
    }
    return \%phase;
}

# Serves the arrivals of an open load, which the parent writes to a FIFO when they are due.
sub open_phase {
    my ($plan, $operate) = @_;
    my %phase = (ops => 0, counts => [], errors => {});
    my %open = map { $_ => 0 } qw(scheduled started_in_time late unsent unfinished);
    my ($response, $lag, $overdue) = ([], [], []);
    open my $fifo, '<:raw', $plan->{arrivals} or die "cannot open the FIFO: $!\n";
    my $next = sub {
        my $record = '';
        while (length $record < 16) {
            sysread($fifo, $record, 16 - length $record, length $record) or return;
        }
        return unpack 'Q<Q<', $record;
    };
    my (undef, $end) = $next->();
    my $cut = $end + $plan->{drain_ns};
    # Interrupts an operation that hangs.
    setitimer(ITIMER_REAL, ($cut + $plan->{drain_ns} - now_ns()) / 1e9);
    my $last = $end;
    while (my ($index, $due) = $next->()) {
        $open{scheduled}++;
        my $start = now_ns();
        if ($start >= $cut) {
            $open{unsent}++;
            record($overdue, $start - $due);
            next;
        }
        my ($is_done, $failure) = eval {
            local $SIG{ALRM} = sub { die "given up\n" };
            (1, $operate->($index));
        };
        my $now = now_ns();
        if (!$is_done) {
            die $@ if $@ ne "given up\n";
            $open{unfinished}++;
            record($overdue, $now - $due);
            next;
        }
        $last = $now if $now > $last;
        $open{started_in_time}++ if $start < $end;
        $open{late}++ if $start - $due > $plan->{late_ns};
        record($lag, $start - $due);
        record($response, $now - $due) if !defined $failure;
        ended(\%phase, $failure, $now - $start);
    }
    $phase{elapsed} = $last - ($end - $plan->{schedule_ns});
    $phase{open} = { %open, response => encoded($response), lag => encoded($lag), overdue => encoded($overdue) };
    return \%phase;
}

sub exchange {
    my ($socket, $request, $traffic) = @_;
    $! = 0;
    (syswrite($socket, $request) // 0) == length $request or return;
    $traffic->{bytes_out} += length $request;
    my $response = '';
    while (1) {
        if ($response =~ /\A(.*?\r\n\r\n)/s) {
            my $head = $1;
            my ($status) = $head =~ m{\AHTTP/1\.1 (\d{3})};
            my ($length) = $head =~ /^content-length:\s*(\d+)/im;
            if (length($response) >= length($head) + $length) {
                $traffic->{bytes_in} += length $response;
                $traffic->{requests}++;
                return ($status, substr $response, length $head);
            }
        }
        sysread($socket, $response, 65536, length $response) or return;
    }
}

sub http_get {
    my ($plan, $traffic) = @_;
    my $target = $plan->{targets}{http};
    my $address = $target->{address} // ($target->{url} =~ m{//([^/]+)})[0];
    my ($authority, $own_path) = $target->{url} =~ m{//([^/]+)(/.*)?};
    my $path = $own_path // $plan->{params}{path};
    my $socket = IO::Socket::INET->new(PeerAddr => $address, Timeout => 10) or die "cannot connect to $address\n";
    setsockopt($socket, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1);
    setsockopt($socket, Socket::SOL_SOCKET(), Socket::SO_RCVTIMEO(), pack('l!l!', 10, 0));
    $traffic->{connections}++;
    my $joint = index($path, '?') < 0 ? '?' : '&';
    my $request = sub {
        my ($op) = @_;
        my $query = $plan->{params}{numbered} && defined $op ? "${joint}op=$op" : '';
        return "GET $path$query HTTP/1.1\r\nHost: $authority\r\n\r\n";
    };
    my (undef, $expected) = exchange($socket, $request->(), $traffic);
    return sub {
        my ($op) = @_;
        my ($status, $body) = exchange($socket, $request->($op), $traffic);
        if (!defined $status) {
            my $failure = $!{EAGAIN} ? ['timeout', 'no answer in 10 s'] : ['reset', 'the connection ended'];
            close $socket;
            return $failure;
        }
        return ['status', "GET $path answered $status"] unless $status =~ /\A2/;
        return ['wrong-content', "GET $path: another body than before"] unless $body eq $expected;
        return;
    };
}

sub work {
    my ($plan) = @_;
    return { status => 'failed', reason => "expected protocol 1, got $plan->{protocol}" } if $plan->{protocol} != 1;
    my $is_open = $plan->{load}{model} eq 'open';
    return { status => 'unsupported', reason => 'no pacer' } if $is_open && !defined $plan->{arrivals};
    my %traffic = map { $_ => { requests => 0, connections => 0, bytes_out => 0, bytes_in => 0 } } keys %{ $plan->{targets} };
    my $operate =
          $plan->{workload} eq 'null'     ? sub { return }
        : $plan->{workload} eq 'http-get' ? http_get($plan, $traffic{http})
        :                                   return { status => 'unsupported', reason => "no workload $plan->{workload}" };
    my $warmup = phase($plan->{warmup}, $FIRST_WARMUP_OP, $operate);
    my @before = times;
    my $measured = $is_open ? open_phase($plan, $operate) : phase($plan->{stop}, 0, $operate);
    my @after = times;
    my $warmup_failed = 0;
    $warmup_failed += $_->{count} for values %{ $warmup->{errors} };
    my %errors = map {
        my $known = $measured->{errors}{$_};
        $_ => { count => $known->{count}, example => $known->{example}, service => encoded($known->{counts}) }
    } keys %{ $measured->{errors} };
    return {
        status      => 'ok',
        measurement => {
            sessions         => 1,
            worker_threads   => 1,
            runtime_facts    => { interpreter => "Perl $^V" },
            ops              => $measured->{ops},
            warmup_ops       => $warmup->{ops} + $warmup_failed,
            warmup_errors    => { map { $_ => $warmup->{errors}{$_}{count} } keys %{ $warmup->{errors} } },
            elapsed_ns       => $measured->{elapsed},
            session_ns       => $measured->{elapsed},
            throughput_ops_s => $measured->{ops} * 1e9 / $measured->{elapsed},
            service          => encoded($measured->{counts}),
            open             => $measured->{open},
            errors           => \%errors,
            traffic          => \%traffic,
            cost             => {
                cpu_user_ns   => int(($after[0] - $before[0]) * 1e9),
                cpu_system_ns => int(($after[1] - $before[1]) * 1e9),
            },
            violations => [],
        },
    };
}

my $command = $ARGV[0] // '';
if ($command eq 'describe') {
    my $lane = {
        name => 'perl', family => 'sequential', stack => 'Perl', summary => 'Perl: one session, blocking calls',
        workloads => ['http-get', 'null'], open_load => JSON::PP::true, versions => { perl => sprintf('%vd', $^V) },
    };
    print $json->encode({ protocol => 1, lanes => [$lane] }), "\n";
} elsif ($command eq 'worker') {
    my $line = <STDIN>;
    my $reply = eval { work($json->decode($line)) } // { status => 'failed', reason => "setting up failed: $@" };
    chomp $reply->{reason} if defined $reply->{reason};
    print $json->encode({ protocol => 1, %$reply }), "\n";
} else {
    die "usage: worker.pl describe|worker\n";
}
