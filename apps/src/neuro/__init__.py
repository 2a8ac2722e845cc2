"""The command line that composes the packages."""
