"""Benchmarks of idseg: quality, speed and memory. README.md beside this file explains how to run them."""
