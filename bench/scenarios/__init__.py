"""The scenarios, one module each: `run(options) -> Outcome`."""
