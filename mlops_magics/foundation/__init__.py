"""Errors, settings, tables, results, html, masking, the plugin seam: what every floor stands on."""
