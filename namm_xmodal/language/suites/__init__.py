"""Published long-context suites: tables of tasks, read from a folder in the layout in which each is published."""
