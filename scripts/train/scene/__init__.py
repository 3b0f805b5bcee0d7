"""Composes training pictures on any device: people, hair, worn things and hard backgrounds, with exact alpha."""
