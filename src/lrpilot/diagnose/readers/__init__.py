"""Readers: one format a file, from a path to a `History`."""
