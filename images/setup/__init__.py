"""The base of every stage: the cache, its keys, running commands, reporting, pinned versions, system packages."""
