"""The runner of make bench."""
