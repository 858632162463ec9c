"""Sersic profiles of galaxies, of all bands together."""
