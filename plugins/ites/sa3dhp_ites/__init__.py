"""ITES: 2D to 3D lifting by an invariant teacher and an equivariant student (AAAI 2021, arXiv 2012.09398)."""
