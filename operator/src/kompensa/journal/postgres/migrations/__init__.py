"""Numbered SQL files, applied once each, in order; what is released is never edited."""
