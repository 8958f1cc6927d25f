"""The papers' networks: on the plane with a leading trials axis, on images one trial each."""
