"""The report as one static page: no network, light and dark, readable on a phone and by keyboard."""
