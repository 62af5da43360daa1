"""Tallies that are never wrong. Database: counter."""
