"""Files of strangers: regular files of bounded size, read by readers that run nothing. The rules are in docs/security.md."""
