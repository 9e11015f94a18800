# The zsh hook of eksd.
