"""Generated from protos/ (buf). Do not edit."""
