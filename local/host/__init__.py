"""A small Functions host: Microsoft's worker library does the indexing, conversion and invocation."""
