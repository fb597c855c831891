"""Generated from protos/ (buf/validate). Do not edit."""
