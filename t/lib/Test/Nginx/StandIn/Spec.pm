# The blocks after __DATA__, as Test::Base reads them.
package Test::Nginx::StandIn::Spec;

use strict;
use warnings;

# Returns one hash for each block, by section; its name under "name".
sub read_blocks {
    my $text = do { local $/; no warnings 'once'; <main::DATA> } // '';
    $text =~ s/\r\n/\n/g;
    my ($ignored, @parts) = split /^===[ \t]+(.*)\n/m, $text;
    my @blocks;

    while (my ($name, $body) = splice @parts, 0, 2) {
        push @blocks, read_block($name, $body);
    }
    return @blocks;
}

sub read_block {
    my ($name, $body) = @_;
    my %block = (name => $name);
    my ($description, @parts) = split /^---[ \t]+(\w+)[ \t]*(.*)\n/m,
        $body =~ /\n\z/ ? $body : "$body\n";

    while (my ($section, $filters, $value) = splice @parts, 0, 3) {
        $value //= '';
        if ($filters =~ /:(?:\s|\z)/) {
            die "$name: extra lines in --- $section\n" if $value =~ /\S/;
            ($filters, $value) = split /\s*:(?:\s+|\z)/, $filters, 2;
            $value //= '';
        }
        $block{$section} = filtered($value, $filters, "$name: $section");
    }
    return \%block;
}

sub filtered {
    my ($value, $filters, $where) = @_;
    $value =~ s/\A([ \t]*\n)+//;
    $value =~ s/(?<=\n)\s*\z//;

    for my $filter (split ' ', $filters) {
        if ($filter eq 'eval') {
            ($value) = eval "package main; no strict; $value";
            die "$where: $@" if $@;
        }
        elsif ($filter eq 'chomp') {
            chomp $value;
        }
        else {
            die "$where: no filter $filter\n";
        }
    }
    return $value;
}

1;
