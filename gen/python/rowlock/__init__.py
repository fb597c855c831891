"""Generated from protos/ (rowlock). Do not edit."""
