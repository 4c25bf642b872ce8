"""What a job costs, measured beside a floor: see `docs/benchmarks.md`."""
