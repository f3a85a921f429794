"""`python -m benchmarks` is `bench`, also where nothing has been installed."""

from benchmarks.cli import main

main()
