"""Generated from protos/ (rowlock/v1). Do not edit."""
