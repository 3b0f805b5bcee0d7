"""Identifies callers: keys, tokens, signatures, and allowed web sites."""
