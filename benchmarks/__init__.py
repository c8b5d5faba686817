"""What the service costs: `python -m benchmarks` measures it, in ratios, because machines are noisy and ratios less so."""
