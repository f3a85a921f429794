"""The `bench` command and what it measures with."""
