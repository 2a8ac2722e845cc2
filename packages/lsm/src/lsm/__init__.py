"""Event-driven cortical liquid state machines with a midbrain and working memory."""
