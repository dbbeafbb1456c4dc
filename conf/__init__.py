"""The YAML of every config group; a package so that Hydra finds it as ``pkg://tunebook.conf``."""
