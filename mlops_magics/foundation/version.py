"""The release, in a module that imports nothing: every floor may say it."""

VERSION = "0.1.0"
